package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const (
	backupsKept  = 3 // of those that upgrades make
	previousName = "rhumb.previous"
)

// LockUpgrades makes this the only upgrade, until unlock.
func (f Folder) LockUpgrades() (unlock func(), err error) {
	dir := f.Backups()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the folder of backups can't be made: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the folder of backups can't be locked: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, rhumb.Errorf(rhumb.Locked, "another upgrade goes on")
	}
	return func() { file.Close() }, nil
}

// KeepProgram keeps the program that an upgrade replaces.
func (f Folder) KeepProgram(content []byte) error {
	if err := atomicfile.Write(filepath.Join(f.Backups(), previousName), content, 0o700); err != nil {
		return rhumb.Errorf(rhumb.Denied, "the old program can't be kept: %w", err).WithHint("is the disk full?")
	}
	return nil
}

// BackUpToUpgrade writes a backup of a version's state that the folder's own key opens, and removes the oldest ones of that kind.
func (f Folder) BackUpToUpgrade(ctx context.Context, old, by string) (file string, err error) {
	ids, err := Identities(f.Key())
	if err != nil {
		return "", err
	}
	own, ok := ids[0].(*age.X25519Identity)
	if !ok {
		return "", rhumb.Errorf(rhumb.Invalid, "the state folder's key is of another kind")
	}
	dir := f.Backups()
	file = filepath.Join(dir, "upgrade-"+time.Now().UTC().Format("20060102T150405")+"-from-"+strings.ReplaceAll(old, "/", "_")+".rhumb")
	if _, err := f.BackUp(ctx, file, by, own.Recipient()); err != nil {
		return "", err
	}
	all, err := filepath.Glob(filepath.Join(dir, "upgrade-*.rhumb")) // sorted: by time
	if err != nil {
		return "", rhumb.Errorf(rhumb.Internal, "old backups can't be listed: %w", err)
	}
	var errs []error
	for len(all) > backupsKept {
		errs = append(errs, os.Remove(all[0]))
		all = all[1:]
	}
	if err := errors.Join(errs...); err != nil {
		return "", rhumb.Errorf(rhumb.Denied, "old backups can't be removed: %w", err)
	}
	return file, nil
}
