package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxLog bounds the log of a process of ours where no journal keeps it. As much of the older log stays in PATH.1.
const maxLog = 10 << 20

// boundLog moves a log that is too long to PATH.1. The process has the file open and appends to it, so boundLog copies
// the content and truncates the file. A line written at that moment is lost.
func boundLog(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= maxLog {
		return nil
	}
	if err != nil {
		return err
	}
	from, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.LimitReader(from, 2*maxLog))
	if err := errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("%s: %w", to.Name(), err)
	}
	return from.Truncate(0)
}
