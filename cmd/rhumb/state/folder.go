// Package state is the state folder: where a server keeps releases, secrets, certificates and the key that opens them.
package state

import (
	"os"
	"path/filepath"
	"syscall"

	"rhumb"
	"rhumb/backup"
	"rhumb/internal/seal"
	"rhumb/sqlite"
)

// Folder is the state folder of a server, by its path.
type Folder string

// Proxy is where the proxy keeps its last table.
func (f Folder) Proxy() string { return f.path("proxy") }

// ProxySocket is where the server tells the proxy what to serve.
func (f Folder) ProxySocket() string { return SocketOf(f.Proxy()) }

// ProxyLog is what the proxy writes where no journal keeps it.
func (f Folder) ProxyLog() string { return f.path("proxy.log") }

// Key is the key that seals all else.
func (f Folder) Key() string { return f.path("key") }

// Database is the store.
func (f Folder) Database() string { return f.path("rhumb.db") }

// Certificates is where certificates are, sealed.
func (f Folder) Certificates() string { return f.path("certs") }

// Builds is where build contexts are while they are built.
func (f Folder) Builds() string { return f.path("builds") }

// Backups is where upgrades keep what they replace.
func (f Folder) Backups() string { return f.path("backups") }

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

// SocketOf is the socket of a proxy that keeps its last table in that folder.
func SocketOf(proxy string) string { return filepath.Join(proxy, "control.sock") }

// OfProxy is the state folder of the server whose proxy keeps its last table in that folder.
func OfProxy(proxy string) Folder { return Folder(filepath.Dir(proxy)) }

// Claim makes the folder if need be, and this process its only server until unlock.
func (f Folder) Claim() (unlock func(), err error) {
	if err := os.MkdirAll(f.Proxy(), 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err).WithHint("run it as root, or choose another folder with --data")
	}
	if unlock, err = f.Lock(); err != nil {
		return nil, err
	}
	if err := backup.Settled(string(f)); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// Lock makes this the only process that changes the folder, until unlock.
func (f Folder) Lock() (unlock func(), err error) {
	file, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the state folder can't be locked: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, rhumb.Errorf(rhumb.Locked, "another rhumb server uses %s", string(f)).WithHint("stop it, or choose another folder with --data")
	}
	return func() { file.Close() }, nil // the lock goes with the file
}

// Box opens what is sealed with the folder's key, and makes the key if there is none.
func (f Folder) Box() (*seal.Box, error) { return seal.Open(f.Key()) }

// Store opens the database, with the key that unseals it.
func (f Folder) Store() (*sqlite.Store, error) {
	box, err := f.Box()
	if err != nil {
		return nil, err
	}
	return sqlite.Open(f.Database(), box)
}
