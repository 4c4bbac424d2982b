package metrics

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
)

const asideFolder = "damaged"

// mend makes the store readable. The library would refuse to open because of one block, and remove all of wal behind a
// damaged place.
func (d folder) mend() {
	for _, name := range d.blocks() {
		err := guarded(func() error {
			b, err := tsdb.OpenBlock(d.library(), d.path(name), nil, nil)
			if err != nil {
				return err
			}
			return b.Close()
		})
		if err != nil {
			d.log.Error("block of metrics not readable, setting it aside", "block", name, "err", err)
			d.setAside(name)
		}
	}
	for _, dir := range d.logs() {
		d.mendLog(dir)
	}
}

// blocks returns the names of the folders of blocks.
func (d folder) blocks() []string {
	entries, err := os.ReadDir(d.path())
	if err != nil {
		return nil // the library says it better
	}
	var names []string
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err == nil && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// logs returns the folders with logs of samples: wal, and the checkpoints in it.
func (d folder) logs() []string {
	dirs := []string{d.path("wal")}
	entries, err := os.ReadDir(dirs[0])
	if err != nil {
		return nil // there is none yet, or the library says it better
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "checkpoint.") && filepath.Ext(e.Name()) != ".tmp" {
			dirs = append(dirs, filepath.Join(dirs[0], e.Name()))
		}
	}
	return dirs
}

// mendLog writes each segment of a log that can't be read again, without what is damaged. A copy of the segment is set
// aside, unless it only ends within what was being written when the process died.
func (d folder) mendLog(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the library says it better
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		torn, err := readSegment(path)
		if err == nil {
			continue
		}
		if !torn {
			d.log.Error("newest metrics damaged, setting a copy aside", "file", path, "err", err)
			d.setCopyAside(path)
		}
		if err := salvage(path); err != nil {
			d.log.Error("damaged metrics not mended", "file", path, "err", err)
		}
	}
}

// setAside moves a file or folder of the store into the folder of what is damaged.
func (d folder) setAside(name string) {
	if _, err := os.Lstat(d.path(name)); err != nil {
		return
	}
	to, err := d.asidePath(name)
	if err == nil {
		err = os.Rename(d.path(name), to)
	}
	if err != nil {
		d.log.Error("damaged metrics not set aside", "file", d.path(name), "err", err)
	}
}

// setCopyAside makes a second name for a file in the folder of what is damaged. The caller replaces the first.
func (d folder) setCopyAside(path string) {
	to, err := d.asidePath(filepath.Base(filepath.Dir(path)) + "-" + filepath.Base(path))
	if err == nil {
		err = os.Link(path, to)
	}
	if err != nil {
		d.log.Error("damaged metrics not set aside", "file", path, "err", err)
	}
}

const asideTime = "20060102T150405.000000000"

// asidePath returns where to set something aside now.
func (d folder) asidePath(name string) (string, error) {
	if err := os.MkdirAll(d.path(asideFolder), 0o700); err != nil {
		return "", err
	}
	return d.path(asideFolder, time.Now().UTC().Format(asideTime)+"-"+name), nil
}

// removeAside removes what was set aside before a time.
func (d folder) removeAside(before time.Time) {
	entries, err := os.ReadDir(d.path(asideFolder))
	if err != nil {
		return // nothing was ever set aside
	}
	for _, e := range entries {
		at, _, _ := strings.Cut(e.Name(), "-")
		if t, err := time.Parse(asideTime, at); err == nil && t.Before(before) {
			_ = os.RemoveAll(d.path(asideFolder, e.Name()))
		}
	}
}
