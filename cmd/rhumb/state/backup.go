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

// Readable returns nil if the folder can be backed up. Otherwise it returns NotFound or Denied, or the error of an
// interrupted restore.
func (f Folder) Readable() error {
	file, err := os.Open(f.Key())
	if os.IsNotExist(err) {
		return rhumb.Errorf(rhumb.NotFound, "%s is not a state folder of rhumb", string(f)).
			WithHint("pass the server's state folder with --data")
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "can't read the state folder: %w", err).
			WithHint("run it as root, on the server's machine")
	}
	file.Close()
	return backup.Settled(string(f))
}

// BackUp writes a backup to a file, completely or not at all. by is the version of rhumb that writes it.
func (f Folder) BackUp(ctx context.Context, file, by string, to ...age.Recipient) (info backup.Info, err error) {
	err = atomicfile.Fill(file, 0o600, func(w io.Writer) error {
		info, err = backup.Write(ctx, w, f.Source(by), to...)
		return err
	})
	if err != nil && rhumb.ErrorCode(err) == rhumb.Internal {
		err = rhumb.Errorf(rhumb.Denied, "can't write the backup: %w", err)
	}
	return info, err
}

// Source describes the folder for a backup; by is the version of rhumb that writes it.
func (f Folder) Source(by string) backup.Source {
	host, _ := os.Hostname() // the name only distinguishes backups
	return backup.Source{
		Folder:   string(f),
		Info:     backup.Info{Version: by, Schema: sqlite.Schema(), Host: host, Made: time.Now().UTC().Truncate(time.Second)},
		Database: func(ctx context.Context) ([]byte, error) { return sqlite.Copy(ctx, f.Database()) },
	}
}

// ToRestore makes the folder if it doesn't exist and locks it. It returns Locked if a server uses the folder. Unless
// force, it returns Conflict if the folder holds releases.
func (f Folder) ToRestore(ctx context.Context, force bool) (unlock func(), err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "can't make the state folder: %w", err).WithHint("run it as root")
	}
	unlock, err = f.Lock()
	if rhumb.ErrorCode(err) == rhumb.Locked {
		return nil, rhumb.Errorf(rhumb.Locked, "%s: the server is running and uses this state folder", string(f)).
			WithHint("stop it: systemctl stop rhumb; replicas and proxy keep serving")
	}
	if err != nil || force {
		return unlock, err
	}
	db := f.Database()
	held, err := sqlite.Peek(ctx, db)
	switch _, missing := os.Stat(db); {
	case errors.Is(missing, fs.ErrNotExist):
		err = backup.Settled(string(f))
	case err != nil: // a damaged database is a reason to restore
		err = rhumb.Errorf(rhumb.ErrorCode(err), "%w", err).WithHint("replace it with --force; it is set aside")
	case held.Releases > 0:
		err = rhumb.Errorf(rhumb.Conflict, "%s holds state: releases (%d)", string(f), held.Releases).
			WithHint("replace it with --force; it is set aside")
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// KnowsSchema returns nil if this version of rhumb knows the backup's database, and Unsupported otherwise.
func KnowsSchema(info backup.Info) error {
	if info.Schema > sqlite.Schema() {
		return rhumb.Errorf(rhumb.Unsupported,
			"the backup is from rhumb %s, and this version doesn't know its database", info.Version).
			WithHint("install rhumb %s or a later one first", info.Version)
	}
	return nil
}

// Identities reads a file of age keys, such as the server's own key. A file without one is Invalid.
func Identities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: can't be read: %w", path, err)
	}
	defer f.Close()
	ids, err := age.ParseIdentities(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s holds no age identities", path) // the message must not quote the file
	}
	return ids, nil
}
