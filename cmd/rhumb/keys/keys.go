// Package keys gives what seals and opens a backup: a passphrase, wherever that comes from, or age keys.
package keys

import (
	"context"

	"filippo.io/age"

	"rhumb"
	"rhumb/cmd/rhumb/state"
	"rhumb/cmd/rhumb/terminal"
)

// Given is what the command line says of keys. The zero values: the passphrase is in the environment, or asked for.
type Given struct {
	User           terminal.User
	PassphraseFile string   // its first line is the passphrase
	Recipients     []string // age recipients that a backup is sealed to
	Identities     string   // a file of age identities that open one
}

// ToSeal gives those who may open a backup that is made.
func (g Given) ToSeal(ctx context.Context) ([]age.Recipient, error) {
	var to []age.Recipient
	for _, s := range g.Recipients {
		r, err := age.ParseX25519Recipient(s)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "%q is no age recipient", s).WithHint("age-keygen prints one: age1...")
		}
		to = append(to, r)
	}
	if len(to) > 0 && g.PassphraseFile != "" {
		return nil, rhumb.Errorf(rhumb.Invalid, "a backup is sealed to recipients or with a passphrase, not both")
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
		return nil, rhumb.Errorf(rhumb.Invalid, "the passphrase can't be used: %w", err)
	}
	return []age.Recipient{r}, nil
}

// ToOpen gives what may open a backup that is there: the identities named; else the folder's own key, with which "rhumb upgrade" seals,
// or a passphrase.
func (g Given) ToOpen(ctx context.Context, folder state.Folder) ([]age.Identity, error) {
	if g.Identities != "" {
		return state.Identities(g.Identities)
	}
	own, err := state.Identities(folder.Key())
	if err != nil {
		own = nil // there is none yet, or it is damaged
	}
	return append(own, &passphraseIdentity{ask: func() (string, error) { return g.passphrase(ctx, false) }}), nil
}

// passphraseIdentity asks for the passphrase when a backup turns out to need one, and once.
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
			return nil, rhumb.Errorf(rhumb.Invalid, "the passphrase can't be used: %w", err)
		}
	}
	return p.id.Unwrap(stanzas)
}
