package main

import (
	"context"
	"io"
	"os"
	"strings"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
)

const (
	shortestPassphrase = 8
	longestPassphrase  = 1 << 10
	passphraseVariable = "RHUMB_BACKUP_PASSPHRASE"
)

// passphrase gives the one of a backup: from a file, from the environment, or from a terminal. One that is new is asked for twice, and may
// not be too short.
func (a *app) passphrase(ctx context.Context, file string, isNew bool) (string, error) {
	p, err := a.givenPassphrase(ctx, file, isNew)
	if err != nil {
		return "", err
	}
	if isNew && len(p) < shortestPassphrase {
		return "", rhumb.Errorf(rhumb.Invalid, "the passphrase is too short").WithHint("whoever has it has all secrets: at least %d characters", shortestPassphrase)
	}
	return p, nil
}

func (a *app) givenPassphrase(ctx context.Context, file string, isNew bool) (string, error) {
	if file != "" {
		f, err := a.open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, longestPassphrase))
		if err != nil {
			return "", rhumb.Errorf(rhumb.Invalid, "%s can't be read: %w", file, err)
		}
		line, _, _ := strings.Cut(string(b), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if p, ok := os.LookupEnv(passphraseVariable); ok {
		return p, nil
	}
	p, err := a.ask(ctx, "Passphrase of the backup: ")
	if err != nil || !isNew {
		return p, err
	}
	again, err := a.ask(ctx, "The same again: ")
	if err == nil && again != p {
		err = rhumb.Errorf(rhumb.Invalid, "these were two passphrases")
	}
	return p, err
}

// ask asks for it on a terminal.
func (a *app) ask(ctx context.Context, question string) (string, error) {
	if !terminal.Is(a.stdin) {
		return "", rhumb.Errorf(rhumb.Invalid, "there is no passphrase, and no terminal to ask on").
			WithHint("give it with --passphrase-file or %s", passphraseVariable)
	}
	return a.user().Secret(ctx, question)
}
