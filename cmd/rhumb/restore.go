package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/install"
	"rhumb/sqlite"
)

func (a *app) restoreCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var keys, passphraseFile string
	var force bool
	var cmd *cobra.Command
	cmd = a.command("restore [flags] FILE", "Put a backup of the server's state back", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if err := installed(&conf, install.Machine{}, cmd); err != nil {
			return err
		}
		f, err := os.Open(args[0])
		if errors.Is(err, fs.ErrNotExist) {
			return rhumb.Errorf(rhumb.Invalid, "%s: there is no such file", args[0])
		}
		if err != nil {
			return rhumb.Errorf(rhumb.Denied, "%s can't be read: %w", args[0], err)
		}
		defer f.Close()
		unlock, err := a.mayRestore(ctx, conf, force)
		if err != nil {
			return err
		}
		defer unlock()
		return a.restore(ctx, f, conf, keys, passphraseFile)
	})
	cmd.Long = "Put releases, secrets, certificates and their key back into the state folder of a server that is stopped. The backup is looked through\n" +
		"to its end before anything changes. State that is there is replaced only with --force, and then set aside, not deleted."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "the state folder")
	cmd.Flags().StringVar(&keys, "identity", "", "open it with the age identities in this file")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "read the passphrase from the first line of this file")
	cmd.Flags().BoolVar(&force, "force", false, "replace the state that is there; it is set aside")
	return cmd
}

// mayRestore locks the state folder, if no server uses it and it holds no releases.
func (a *app) mayRestore(ctx context.Context, conf server.Config, force bool) (unlock func(), err error) {
	if err := os.MkdirAll(conf.Data, 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err).WithHint("run it as root")
	}
	unlock, err = state.Folder(conf.Data).Lock()
	if rhumb.ErrorCode(err) == rhumb.Locked {
		return nil, rhumb.Errorf(rhumb.Locked, "the server runs, and uses %s", conf.Data).
			WithHint("stop it: systemctl stop rhumb; what serves goes on serving")
	}
	if err != nil || force {
		return unlock, err
	}
	db := state.Folder(conf.Data).Database()
	held, err := sqlite.Peek(ctx, db)
	if _, missing := os.Stat(db); errors.Is(missing, fs.ErrNotExist) {
		err = backup.Settled(conf.Data)
	}
	if err == nil && held.Releases > 0 {
		err = rhumb.Errorf(rhumb.Conflict, "%s holds state: releases (%d)", conf.Data, held.Releases).WithHint("replace them with --force; they are set aside")
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// restore puts the backup back, if this rhumb can work with it.
func (a *app) restore(ctx context.Context, f *os.File, conf server.Config, keys, passphraseFile string) error {
	with, err := a.openWith(ctx, conf.Data, keys, passphraseFile)
	if err != nil {
		return err
	}
	info, aside, err := backup.Restore(f, conf.Data, state.KnowsSchema, with...)
	if err != nil {
		return err
	}
	words := fmt.Sprintf("restored: the state of %s, %s, by rhumb %s", info.Host, info.Made.Local().Format(time.DateTime), info.Version)
	if aside != "" {
		words += "\nwhat was there is in " + aside
	}
	words += "\nnow start the server: systemctl start rhumb\n" +
		"It finds the replicas that run, and starts those that don't, if their images are here or can be pulled. Volumes are restored apart."
	return &outcome{words: words}
}

// openWith gives what may open a backup: the identities named; else the folder's own key, with which "rhumb upgrade" seals, or a passphrase.
func (a *app) openWith(ctx context.Context, data, keys, passphraseFile string) ([]age.Identity, error) {
	if keys != "" {
		return state.Identities(keys)
	}
	own, err := state.Identities(state.Folder(data).Key())
	if err != nil {
		own = nil // there is none yet, or it is damaged
	}
	return append(own, &passphraseIdentity{ask: func() (string, error) { return a.passphrase(ctx, passphraseFile, false) }}), nil
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
