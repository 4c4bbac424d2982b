package state

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"filippo.io/age"

	"rhumb"
	"rhumb/backup"
	"rhumb/internal/atomicfile"
	"rhumb/sqlite"
)

// Readable tells why the folder can't be backed up; nil if it can.
func (f Folder) Readable() error {
	file, err := os.Open(f.Key())
	if os.IsNotExist(err) {
		return rhumb.Errorf(rhumb.NotFound, "%s holds no state of rhumb's", string(f)).WithHint("name the server's state folder with --data")
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "the state folder can't be read: %w", err).WithHint("run it as root, on the server's machine")
	}
	file.Close()
	return backup.Settled(string(f))
}

// BackUp writes a backup to a file, whole or not at all. by is the version that makes it.
func (f Folder) BackUp(ctx context.Context, file, by string, to ...age.Recipient) (info backup.Info, err error) {
	err = atomicfile.Fill(file, 0o600, func(w io.Writer) error {
		info, err = backup.Write(ctx, w, f.Source(by), to...)
		return err
	})
	if err != nil && rhumb.ErrorCode(err) == rhumb.Internal {
		err = rhumb.Errorf(rhumb.Denied, "the backup can't be written: %w", err)
	}
	return info, err
}

// Source describes the folder to a backup that this version makes.
func (f Folder) Source(by string) backup.Source {
	host, _ := os.Hostname() // it only helps to tell backups apart
	return backup.Source{
		Folder:   string(f),
		Info:     backup.Info{Version: by, Schema: sqlite.Schema(), Host: host, Made: time.Now().UTC().Truncate(time.Second)},
		Database: func(ctx context.Context) ([]byte, error) { return sqlite.Copy(ctx, f.Database()) },
	}
}

// ToRestore makes the folder if need be and locks it, if no server uses it and it holds no releases; with force it may hold some.
func (f Folder) ToRestore(ctx context.Context, force bool) (unlock func(), err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err).WithHint("run it as root")
	}
	unlock, err = f.Lock()
	if rhumb.ErrorCode(err) == rhumb.Locked {
		return nil, rhumb.Errorf(rhumb.Locked, "the server runs, and uses %s", string(f)).
			WithHint("stop it: systemctl stop rhumb; what serves goes on serving")
	}
	if err != nil || force {
		return unlock, err
	}
	db := f.Database()
	held, err := sqlite.Peek(ctx, db)
	switch _, missing := os.Stat(db); {
	case errors.Is(missing, fs.ErrNotExist):
		err = backup.Settled(string(f))
	case err != nil: // the very day for a backup
		err = rhumb.Errorf(rhumb.ErrorCode(err), "%w", err).WithHint("replace it with --force; it is set aside")
	case held.Releases > 0:
		err = rhumb.Errorf(rhumb.Conflict, "%s holds state: releases (%d)", string(f), held.Releases).WithHint("replace them with --force; they are set aside")
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// KnowsSchema tells why a backup's database can't be worked with; nil if it can.
func KnowsSchema(info backup.Info) error {
	if info.Schema > sqlite.Schema() {
		return rhumb.Errorf(rhumb.Unsupported, "the backup was made by rhumb %s, whose database this one doesn't know", info.Version).
			WithHint("install rhumb %s or a later one first", info.Version)
	}
	return nil
}

// Identities reads a file of age keys; the server's own is one.
func Identities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s can't be read: %w", path, err)
	}
	defer f.Close()
	ids, err := age.ParseIdentities(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s holds no age identities", path) // no line of it is told
	}
	return ids, nil
}
