// Package keys returns the keys that seal and open a backup: a passphrase from any source, or age keys.
package keys

import (
	"context"

	"filippo.io/age"

	"rhumb"
	"rhumb/cmd/rhumb/state"
	"rhumb/cmd/rhumb/terminal"
)

// Given holds the keys on the command line. With the zero values, the passphrase comes from the environment or the
// user.
type Given struct {
	User           terminal.User
	PassphraseFile string   // its first line is the passphrase
	Recipients     []string // age recipients that a backup is sealed to
	Identities     string   // a file of age identities that open one
}

// ToSeal returns the recipients of a new backup. A wrong recipient, or a passphrase that is too short, is Invalid.
func (g Given) ToSeal(ctx context.Context) ([]age.Recipient, error) {
	var to []age.Recipient
	for _, s := range g.Recipients {
		r, err := age.ParseX25519Recipient(s)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "%q is not an age recipient", s).WithHint("age-keygen prints one: age1...")
		}
		to = append(to, r)
	}
	if len(to) > 0 && g.PassphraseFile != "" {
		return nil, rhumb.Errorf(rhumb.Invalid, "a backup is sealed either to recipients or with a passphrase").
			WithHint("omit --recipient or --passphrase-file")
	}
	if len(to) > 0 {
		return to, nil
	}
	p, err := g.passphrase(ctx, true)
	if err != nil {
		return nil, err
	}
	r, err := age.NewScryptRecipient(p)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "can't use the passphrase: %w", err)
	}
	return []age.Recipient{r}, nil
}

// ToOpen returns the identities that may open a backup: those of the file Identities; without one, the folder's own
// key, which "rhumb upgrade" uses, and the passphrase.
func (g Given) ToOpen(ctx context.Context, folder state.Folder) ([]age.Identity, error) {
	if g.Identities != "" {
		return state.Identities(g.Identities)
	}
	own, err := state.Identities(folder.Key())
	if err != nil {
		own = nil // the key does not exist yet, or is damaged
	}
	return append(own, &passphraseIdentity{ask: func() (string, error) { return g.passphrase(ctx, false) }}), nil
}

// passphraseIdentity asks for the passphrase once, when a backup needs it.
type passphraseIdentity struct {
	ask func() (string, error)
	id  age.Identity
}

// Unwrap implements age.Identity.
func (p *passphraseIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != "scrypt" {
		return nil, age.ErrIncorrectIdentity
	}
	if p.id == nil {
		text, err := p.ask()
		if err != nil {
			return nil, err
		}
		if p.id, err = age.NewScryptIdentity(text); err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "can't use the passphrase: %w", err)
		}
	}
	return p.id.Unwrap(stanzas)
}
