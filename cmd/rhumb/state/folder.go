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

// Folder is the path of a state folder.
type Folder string

// Proxy returns the folder of the proxy's last table.
func (f Folder) Proxy() string { return f.path("proxy") }

// ProxySocket returns the socket at which the proxy receives tables.
func (f Folder) ProxySocket() string { return SocketOf(f.Proxy()) }

// ProxyLog returns the proxy's log file, for a proxy that is not a systemd service.
func (f Folder) ProxyLog() string { return f.path("proxy.log") }

// Key returns the file of the key that seals everything else.
func (f Folder) Key() string { return f.path("key") }

// Database returns the database file of the store.
func (f Folder) Database() string { return f.path("rhumb.db") }

// Certificates returns the folder of the sealed certificates.
func (f Folder) Certificates() string { return f.path("certs") }

// Builds returns the folder of build contexts during a build.
func (f Folder) Builds() string { return f.path("builds") }

// Backups returns the folder in which upgrades keep the old state and program.
func (f Folder) Backups() string { return f.path("backups") }

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

// SocketOf returns the socket of a proxy that keeps its last table in the folder proxy.
func SocketOf(proxy string) string { return filepath.Join(proxy, "control.sock") }

// OfProxy returns the state folder of the server whose proxy keeps its last table in the folder proxy.
func OfProxy(proxy string) Folder { return Folder(filepath.Dir(proxy)) }

// Claim makes the folder if it doesn't exist and locks it for this server until unlock. If another server has it, Claim
// returns Locked; if it can't be made, Denied.
func (f Folder) Claim() (unlock func(), err error) {
	if err := os.MkdirAll(f.Proxy(), 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "can't make the state folder: %w", err).
			WithHint("run it as root, or choose another folder with --data")
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

// Lock makes this the only process that changes the folder, until unlock. It returns Locked if another process holds
// it.
func (f Folder) Lock() (unlock func(), err error) {
	file, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "can't lock the state folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, rhumb.Errorf(rhumb.Locked, "%s: another rhumb server uses this state folder", string(f)).
			WithHint("stop it, or choose another folder with --data")
	}
	return func() { file.Close() }, nil // closing the file releases the lock
}

// Box returns the box of the folder's key. It makes the key if there is none.
func (f Folder) Box() (*seal.Box, error) { return seal.Open(f.Key()) }

// Store opens the database, with the key that unseals it.
func (f Folder) Store() (*sqlite.Store, error) {
	box, err := f.Box()
	if err != nil {
		return nil, err
	}
	return sqlite.Open(f.Database(), box)
}
