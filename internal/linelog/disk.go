package linelog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is the file on the disk, and the lines that are being written to it. Only the flusher uses it.
//
// Whoever writes or renames the file holds its lock, and has made sure that the path still names it. So nothing is
// written to a file that was rotated: a reader that has found the next file can finish this one.
type disk struct {
	path     string
	maxSize  int64
	maxFiles int

	file    *os.File
	buffer  []byte
	pending []byte // the rest of buffer, in whole lines
}

// errLocked says that another process writes the file at this moment.
var errLocked = errors.New("another process writes the file")

// write writes the pending lines. If the disk has no room for all of them, those that are whole stay.
func (d *disk) write() error {
	size, err := d.lock()
	if err != nil {
		return err
	}
	defer d.unlock()
	if err := d.mend(size); err != nil {
		return err
	}
	n, err := d.file.Write(d.pending)
	whole := bytes.LastIndexByte(d.pending[:n], '\n') + 1
	if whole < n {
		if info, failed := d.file.Stat(); failed == nil { // if this fails, the next write mends the line
			err = errors.Join(err, d.file.Truncate(info.Size()-int64(n-whole)))
		}
	}
	d.pending = d.pending[whole:]
	return err
}

// mend ends a line that a process which was killed left behind.
func (d *disk) mend(size int64) error {
	if size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := d.file.ReadAt(last, size-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	_, err := d.file.Write([]byte{'\n'})
	return err
}

// lock opens the file, locks it and returns its size. It rotates a full file.
func (d *disk) lock() (size int64, err error) {
	for range 5 { // other processes may rotate it meanwhile
		if d.file == nil {
			if err := d.open(); err != nil {
				return 0, err
			}
		}
		err := syscall.Flock(int(d.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, errLocked
		}
		if err != nil {
			return 0, os.NewSyscallError("flock", err)
		}
		mine, err := d.file.Stat()
		if err != nil {
			d.close()
			return 0, err
		}
		named, err := os.Stat(d.path)
		switch {
		case err != nil || !os.SameFile(mine, named):
		case mine.Size() < d.maxSize:
			return mine.Size(), nil
		default:
			err = d.rotate()
		}
		d.close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return 0, errLocked
}

// unlock unlocks the file, which can't fail for a lock that is held.
func (d *disk) unlock() { _ = syscall.Flock(int(d.file.Fd()), syscall.LOCK_UN) }

func (d *disk) open() error {
	const how = os.O_CREATE | os.O_APPEND | os.O_RDWR
	f, err := os.OpenFile(d.path, how, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(d.path, how, 0o600)
	}
	if err != nil {
		return err
	}
	d.file = f
	return nil
}

// close closes the file, which unlocks it.
func (d *disk) close() {
	if d.file != nil {
		_ = d.file.Close() // it has been written, or failed before
		d.file = nil
	}
}

// rotate renames the files. The oldest is replaced.
func (d *disk) rotate() error {
	for i := d.maxFiles - 1; i > 0; i-- {
		if err := os.Rename(d.name(i-1), d.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// name returns the name of the file that was rotated i times.
func (d *disk) name(i int) string {
	if i == 0 {
		return d.path
	}
	return fmt.Sprintf("%s.%d", d.path, i)
}
