package spool

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rhumb/internal/atomicfile"
)

// state is what a queue knows beside its segments.
type state struct {
	ID   string
	Next uint64 // the number of the first record that isn't committed
	Sent int64
	Lost int64
}

// Open opens the queue in a folder, and creates it if it isn't there. Its segments have at most limit bytes.
func Open(dir string, limit int64) (*Queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the queue's folder: %w", err)
	}
	q := &Queue{dir: folder(dir), limit: limit, segment: max(1, min(maxSegment, limit/4))}
	if err := q.load(); err != nil {
		return nil, err
	}
	if err := q.list(); err != nil {
		return nil, err
	}
	return q, q.save()
}

// folder is where a queue is.
type folder string

// path returns the name of the segment that begins with a record.
func (d folder) path(first uint64) string {
	return filepath.Join(string(d), fmt.Sprintf("%020d.log", first))
}

func (d folder) statePath() string { return filepath.Join(string(d), "position.json") }

func (d folder) remove(segments []uint64) {
	for _, first := range segments {
		os.Remove(d.path(first))
	}
}

// load reads the state. If it can't be parsed, it is set aside, and the queue begins with its oldest record.
func (q *Queue) load() error {
	b, err := atomicfile.Read(q.dir.statePath(), 1<<16)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read the queue's position: %w", err)
	case json.Unmarshal(b, &q.state) != nil || q.state.ID == "":
		q.state = state{}
		if err := os.Rename(q.dir.statePath(), q.dir.statePath()+".damaged"); err != nil {
			return fmt.Errorf("set the queue's position aside: %w", err)
		}
	}
	if q.state.ID == "" {
		q.state.ID = rand.Text()
		q.state.Next = q.dir.firstOnDisk()
	}
	q.read = q.state.Next
	return nil
}

// save writes the state.
func (q *Queue) save() error {
	q.mu.Lock()
	s := q.state
	q.mu.Unlock()
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.Write(q.dir.statePath(), b, 0o600)
}

// numbers returns the numbers that the segments on disk begin with, in order.
func (d folder) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, fmt.Errorf("read the queue's folder: %w", err)
	}
	var all []uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".log")
		if n, err := strconv.ParseUint(name, 10, 63); ok && err == nil && len(name) == 20 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// firstOnDisk returns the number of the oldest record on disk, 0 without one.
func (d folder) firstOnDisk() uint64 {
	if all, err := d.numbers(); err == nil && len(all) > 0 {
		return all[0]
	}
	return 0
}

// list finds the segments and the number of the next record. A new record goes to a new segment: the last one may end
// with a part of a record.
func (q *Queue) list() error {
	all, err := q.dir.numbers()
	if err != nil {
		return err
	}
	q.end = q.state.Next
	for i, first := range all {
		st, err := os.Stat(q.dir.path(first))
		if err != nil {
			return fmt.Errorf("look at a segment of the queue: %w", err)
		}
		s := segment{first: first, size: st.Size()}
		if i+1 < len(all) {
			if all[i+1] <= q.state.Next {
				os.Remove(q.dir.path(first)) // committed; the process died before it removed the file
				continue
			}
		} else {
			n, size, err := count(q.dir.path(first))
			if err != nil {
				return err
			}
			s.size = size
			q.end = max(q.end, first+n)
			if n == 0 || first+n <= q.state.Next {
				os.Remove(q.dir.path(first))
				continue
			}
		}
		q.segments = append(q.segments, s)
	}
	return nil
}

// count returns how many whole records a segment has, and their size on disk.
func count(path string) (n uint64, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, fmt.Errorf("open a segment of the queue: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, 0, fmt.Errorf("look at a segment of the queue: %w", err)
	}
	for {
		r, ok := readRecord(f, size, st.Size())
		if !ok {
			return n, size, nil
		}
		n++
		size += headSize + int64(len(r))
	}
}
