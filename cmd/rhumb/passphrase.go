package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"rhumb"
	"rhumb/cmd/rhumb/view"
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

// ask reads a line from a terminal that doesn't show it.
func (a *app) ask(ctx context.Context, question string) (string, error) {
	in, ok := a.stdin.(*os.File)
	if !ok || !view.Terminal(a.stdin) {
		return "", rhumb.Errorf(rhumb.Invalid, "there is no passphrase, and no terminal to ask on").
			WithHint("give it with --passphrase-file or %s", passphraseVariable)
	}
	fd := int(in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", rhumb.Errorf(rhumb.Internal, "the terminal can't be asked: %w", err)
	}
	fmt.Fprint(a.stderr, question)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // nothing can interrupt a read from a terminal: it ends with the process at the latest
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case got := <-answers:
		fmt.Fprintln(a.stderr)
		if got.err != nil {
			return "", rhumb.Errorf(rhumb.Invalid, "the passphrase can't be read: %w", got.err)
		}
		return string(got.text), nil
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		if err := term.Restore(fd, state); err != nil { // or it would go on showing nothing
			return "", rhumb.Errorf(rhumb.Internal, "the terminal can't be put back: %w", err)
		}
		return "", ctx.Err()
	}
}
