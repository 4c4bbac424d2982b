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
	backupsKept  = 3 // by upgrades
	previousName = "rhumb.previous"
)

// LockUpgrades makes this the only upgrade, until unlock. It returns Locked if another upgrade is running.
func (f Folder) LockUpgrades() (unlock func(), err error) {
	dir := f.Backups()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "can't make the folder of backups: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "can't lock the folder of backups: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, rhumb.Errorf(rhumb.Locked, "another upgrade is running")
	}
	return func() { file.Close() }, nil
}

// KeepProgram keeps the program that an upgrade replaces.
func (f Folder) KeepProgram(content []byte) error {
	if err := atomicfile.Write(filepath.Join(f.Backups(), previousName), content, 0o700); err != nil {
		return rhumb.Errorf(rhumb.Denied, "can't keep the old program: %w", err).WithHint("check that the disk is not full")
	}
	return nil
}

// BackUpToUpgrade writes a backup of the state of the version old, sealed to the folder's own key, and removes the
// oldest such backups. by is the version of rhumb that writes it.
func (f Folder) BackUpToUpgrade(ctx context.Context, old, by string) (file string, err error) {
	ids, err := Identities(f.Key())
	if err != nil {
		return "", err
	}
	own, ok := ids[0].(*age.X25519Identity)
	if !ok {
		return "", rhumb.Errorf(rhumb.Invalid, "the state folder's key is not an X25519 key")
	}
	dir := f.Backups()
	at, from := time.Now().UTC().Format("20060102T150405"), strings.ReplaceAll(old, "/", "_")
	file = filepath.Join(dir, "upgrade-"+at+"-from-"+from+".rhumb")
	if _, err := f.BackUp(ctx, file, by, own.Recipient()); err != nil {
		return "", err
	}
	all, err := filepath.Glob(filepath.Join(dir, "upgrade-*.rhumb")) // sorted by name, and so by time
	if err != nil {
		return "", rhumb.Errorf(rhumb.Internal, "can't list old backups: %w", err)
	}
	var errs []error
	for len(all) > backupsKept {
		errs = append(errs, os.Remove(all[0]))
		all = all[1:]
	}
	if err := errors.Join(errs...); err != nil {
		return "", rhumb.Errorf(rhumb.Denied, "can't remove old backups: %w", err)
	}
	return file, nil
}
