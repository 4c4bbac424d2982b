// Package leftlog keeps the log files of containers that are removed before all of their lines were collected. A file
// is kept by another name, a hard link, so that keeping it takes no time and no room that it didn't take before.
package leftlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
)

// Folder has a folder for each removed container, named after its ID. It must be on the disk of the engine's log files.
type Folder string

const (
	description = "container.json" // a LogWriter
	unfinished  = ".new"           // ends the name of a folder that is being filled

	maxDescription = 64 << 10 // bytes
	maxContainers  = 1000     // so many may wait: more are an error, because nothing collects them
	maxFiles       = 1000     // of one container

	fillTime = time.Hour // a folder that is older and not filled was left by a process that died
)

// Keep keeps the files of a container that has ended and is about to be removed. It may be called again.
// Unsupported: the container has no files, or they are on another disk. Unavailable: the disk is full, or too many
// containers wait already.
func (f Folder) Keep(w rhumb.LogWriter) error {
	id := w.Line.Container
	if w.File == "" || id == "" || filepath.Base(id) != id {
		return rhumb.Errorf(rhumb.Unsupported, "container %s has no log file on this machine", id)
	}
	if _, err := os.Stat(f.of(id)); err == nil {
		return nil
	}
	if entries, err := os.ReadDir(string(f)); err == nil && len(entries) >= maxContainers {
		return rhumb.Errorf(rhumb.Unavailable, "the log files of %d removed containers wait already", len(entries))
	}
	dir := f.of(id) + unfinished
	if err := os.RemoveAll(dir); err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the log files of container %s can't be kept: %w", id, err)
	}
	err := f.fill(dir, w)
	if err == nil {
		err = os.Rename(dir, f.of(id))
	}
	if err == nil {
		err = atomicfile.SyncDir(string(f)) // the container goes now
	}
	if err == nil {
		return nil
	}
	_ = os.RemoveAll(dir) // what is left is removed by the next call, or by Writers
	code := rhumb.Unavailable
	if crosses(err) {
		code = rhumb.Unsupported
	}
	return rhumb.Errorf(code, "the log files of container %s can't be kept: %w", id, err)
}

// fill makes a folder with links to the container's files and a description of the container.
func (f Folder) fill(dir string, w rhumb.LogWriter) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	base := filepath.Base(w.File)
	entries, err := os.ReadDir(filepath.Dir(w.File))
	if err != nil {
		return err
	}
	links := 0
	for _, e := range entries {
		name := e.Name()
		if name != base && !strings.HasPrefix(name, base+".") || !e.Type().IsRegular() {
			continue
		}
		if links++; links > maxFiles {
			return fmt.Errorf("there are more than %d", maxFiles)
		}
		if err := os.Link(filepath.Join(filepath.Dir(w.File), name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if links == 0 {
		return fs.ErrNotExist
	}
	w.File = base
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, description), b, 0o600)
}

// Writers returns the containers whose files are kept, with where they are now. It removes folders that no Keep can be
// filling any more, and those whose description is damaged: nothing could collect them, and their files hold the disk.
func (f Folder) Writers() ([]rhumb.LogWriter, error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "the log files of removed containers can't be listed: %w", err)
	}
	var ws []rhumb.LogWriter
	for _, e := range entries {
		dir := f.of(e.Name())
		if strings.HasSuffix(e.Name(), unfinished) {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > fillTime {
				_ = os.RemoveAll(dir) // the next call tries again
			}
			continue
		}
		b, err := atomicfile.Read(filepath.Join(dir, description), maxDescription)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue // the disk may answer again
		}
		var w rhumb.LogWriter
		if json.Unmarshal(b, &w) != nil || w.Line.Container != e.Name() || filepath.Base(w.File) != w.File {
			_ = os.RemoveAll(dir) // the next call tries again
			continue
		}
		w.File = filepath.Join(dir, w.File)
		ws = append(ws, w)
	}
	return ws, nil
}

// Drop removes the files of a container: all of its lines are collected. It is no error if there are none.
func (f Folder) Drop(container string) error {
	if container == "" || filepath.Base(container) != container {
		return nil
	}
	return os.RemoveAll(f.of(container))
}

func (f Folder) of(container string) string { return filepath.Join(string(f), container) }

// crosses reports whether there can be no link: it would cross disks, or the file system has none.
func crosses(err error) bool {
	return errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) ||
		errors.Is(err, syscall.EMLINK)
}
