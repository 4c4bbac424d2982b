package metrics

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"rhumb/internal/atomicfile"
)

const asideFolder = "damaged"

// mend makes the store readable. The library would refuse to open because of one block, and remove all of wal behind a
// damaged place.
func (s *Store) mend() {
	for _, name := range s.blocks() {
		err := guarded(func() error {
			b, err := tsdb.OpenBlock(s.library(), s.path(name), nil, nil)
			if err != nil {
				return err
			}
			return b.Close()
		})
		if err != nil {
			s.log.Error("block of metrics not readable, setting it aside", "block", name, "err", err)
			s.setAside(name)
		}
	}
	for _, dir := range s.logs() {
		s.mendLog(dir)
	}
}

// blocks returns the names of the folders of blocks.
func (s *Store) blocks() []string {
	entries, err := os.ReadDir(s.opts.Dir)
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
func (s *Store) logs() []string {
	dirs := []string{s.path("wal")}
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

// mendLog cuts each segment of a log off before its first damaged place. A copy of the segment is set aside, unless
// it only ends in the midst of what was being written when the process died.
func (s *Store) mendLog(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the library says it better
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		good, torn, err := readSegment(path)
		if err == nil {
			continue
		}
		if !torn {
			s.log.Error("newest metrics damaged, setting a part aside", "file", path, "from", good, "err", err)
			s.setCopyAside(path)
		}
		if err := cutOff(path, good); err != nil {
			s.log.Error("damaged metrics not mended", "file", path, "err", err)
		}
	}
}

// readSegment returns the error at which a segment of a log can't be read further, and how many bytes before it are
// whole records. It is torn if there is nothing behind.
func readSegment(path string) (good int64, torn bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	r := wlog.NewReader(bufio.NewReader(f))
	for r.Next() {
		good = r.Offset()
	}
	return good, r.Offset() >= i.Size(), r.Err()
}

// cutOff replaces a file with its beginning.
func cutOff(path string, n int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return atomicfile.Copy(path, io.LimitReader(f, n), 0o600)
}

// setAside moves a file or folder of the store into the folder of what is damaged.
func (s *Store) setAside(name string) {
	if _, err := os.Lstat(s.path(name)); err != nil {
		return
	}
	to, err := s.asidePath(name)
	if err == nil {
		err = os.Rename(s.path(name), to)
	}
	if err != nil {
		s.log.Error("damaged metrics not set aside", "file", s.path(name), "err", err)
	}
}

// setCopyAside makes a second name for a file in the folder of what is damaged. The caller replaces the first.
func (s *Store) setCopyAside(path string) {
	to, err := s.asidePath(filepath.Base(filepath.Dir(path)) + "-" + filepath.Base(path))
	if err == nil {
		err = os.Link(path, to)
	}
	if err != nil {
		s.log.Error("damaged metrics not set aside", "file", path, "err", err)
	}
}

const asideTime = "20060102T150405.000000000"

// asidePath returns where to set something aside now.
func (s *Store) asidePath(name string) (string, error) {
	if err := os.MkdirAll(s.path(asideFolder), 0o700); err != nil {
		return "", err
	}
	return s.path(asideFolder, time.Now().UTC().Format(asideTime)+"-"+name), nil
}

// removeAside removes what was set aside before a time.
func (s *Store) removeAside(before time.Time) {
	entries, err := os.ReadDir(s.path(asideFolder))
	if err != nil {
		return // nothing was ever set aside
	}
	for _, e := range entries {
		at, _, _ := strings.Cut(e.Name(), "-")
		if t, err := time.Parse(asideTime, at); err == nil && t.Before(before) {
			_ = os.RemoveAll(s.path(asideFolder, e.Name()))
		}
	}
}
