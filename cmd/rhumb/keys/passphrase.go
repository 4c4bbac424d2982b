package keys

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

// passphrase returns a backup's passphrase from a file, the environment or the terminal. A new passphrase must be typed
// twice and must not be too short.
func (g Given) passphrase(ctx context.Context, isNew bool) (string, error) {
	p, err := g.given(ctx, isNew)
	if err != nil {
		return "", err
	}
	if isNew && len(p) < shortestPassphrase {
		return "", rhumb.Errorf(rhumb.Invalid, "the passphrase is too short").
			WithHint("it protects every secret; use at least %d characters", shortestPassphrase)
	}
	return p, nil
}

func (g Given) given(ctx context.Context, isNew bool) (string, error) {
	if g.PassphraseFile != "" {
		f, err := g.User.Open(g.PassphraseFile)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, longestPassphrase))
		if err != nil {
			return "", rhumb.Errorf(rhumb.Invalid, "%s: can't be read: %w", g.PassphraseFile, err)
		}
		line, _, _ := strings.Cut(string(b), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if p, ok := os.LookupEnv(passphraseVariable); ok {
		return p, nil
	}
	p, err := g.ask(ctx, "Passphrase of the backup: ")
	if err != nil || !isNew {
		return p, err
	}
	again, err := g.ask(ctx, "Repeat the passphrase: ")
	if err == nil && again != p {
		err = rhumb.Errorf(rhumb.Invalid, "the passphrases don't match")
	}
	return p, err
}

// ask asks for the passphrase on the terminal.
func (g Given) ask(ctx context.Context, question string) (string, error) {
	if !terminal.Is(g.User.In) {
		return "", rhumb.Errorf(rhumb.Invalid, "a passphrase is needed, and stdin is not a terminal").
			WithHint("pass it with --passphrase-file or %s", passphraseVariable)
	}
	return g.User.Secret(ctx, question)
}
