package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
)

const (
	chunkSize = 128 << 10 // read at a time
	maxChunk  = 4 << 20   // a longer line of a file is cut here
	maxHeld   = 64 << 20  // bytes of removed files that are kept from being freed because they are not read yet
	maxFiles  = 1000      // rotated files that are looked for
	maxScans  = 10        // scans of the files that a rotation disturbs
	maxFree   = 4         // names in a row that are free although there are files behind them
	maxMisses = 20        // looks that don't find the last file although it exists, before it counts as moved elsewhere
)

// place is where something is in a trail: the number of a file, and the offset in it.
type place = int64

const offsetBits = 40

func placeOf(seq, off int64) place { return seq<<offsetBits | off }

// trail reads a log file through its rotations: the engine renames the file to FILE.1, FILE.1 to FILE.2 and so on, and
// begins another. The trail keeps each file open until it is read, however it is named by then.
type trail struct {
	path string
	log  *slog.Logger
	lost func(lines int64) // counts lines that were rotated away

	mu    sync.Mutex
	files []*source // the oldest first; the last one is written
	cur   int       // the file that is read
	seq   int64
	buf   []byte

	misses int // looks that didn't find the last file
}

// open opens the files, and goes to a position. It returns false if the position is in none of them: reading begins
// with the oldest file then. It returns fs.ErrNotExist if there is no file yet.
func (t *trail) open(p position) (found bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var files []*source
	from := -1
	for range maxFree { // a rotation may hide files
		closeAll(files)
		if files, _, err = t.newer(nil); err != nil {
			return false, err
		}
		if from = find(files, p); from >= 0 || p.Offset == 0 {
			break
		}
	}
	if found = from >= 0; !found {
		from = 0
	}
	for _, s := range files[:from] {
		s.file.Close()
	}
	t.add(files[from:])
	return found, nil
}

// move goes on with the same files in another folder.
func (t *trail) move(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.path = path
}

// find returns the index of the file that has a position, having gone there; -1 if none has. The inode decides between
// files that are alike.
func find(files []*source, p position) int {
	if p.Offset == 0 {
		return -1
	}
	for _, sameInode := range []bool{true, false} {
		for i, s := range slices.Backward(files) {
			if inode, _, _ := s.info(); (inode == p.Inode) == sameInode && s.seek(p.Offset, p.Tail) {
				return i
			}
		}
	}
	return -1
}

// add adds files behind those that are there.
func (t *trail) add(files []*source) {
	for _, s := range files {
		t.seq++
		s.seq = t.seq
		t.files = append(t.files, s)
	}
}

// newer opens the files that are newer than last, the oldest first, and all of them if last is nil. met is false if
// last was not among them. It returns fs.ErrNotExist if there is no file, as between two steps of a rotation, or if the
// engine rotates too fast.
func (t *trail) newer(last os.FileInfo) (files []*source, met bool, err error) {
	for range maxScans {
		if files, met, err = t.scan(last); err != nil {
			return nil, false, err
		}
		if len(files) == 0 {
			return nil, true, nil
		}
		if now, err := os.Stat(t.path); err == nil {
			if first, err := files[0].file.Stat(); err == nil && os.SameFile(now, first) {
				slices.Reverse(files)
				return files, met, nil
			}
		}
		closeAll(files)
	}
	return nil, false, fs.ErrNotExist
}

// scan opens the files from the newest to last, against the order in which the engine renames them. A rotation
// meanwhile can show a file twice and leave names free. It hides a file only behind several free names. If a whole
// rotation comes between, a file that is newer than the first can be among them: the result is of no use then.
// Files that the engine has compressed count only if last is nil: what is newer than an open file is compressed only
// after a whole rotation more.
func (t *trail) scan(last os.FileInfo) (files []*source, met bool, err error) {
	var infos []os.FileInfo
	free := 0 // names in a row
	for i := 0; i < maxFiles && free < maxFree; i++ {
		name := t.path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", t.path, i)
		}
		s, info, err := openSource(name)
		if i > 0 && last == nil && errors.Is(err, fs.ErrNotExist) {
			s, info, err = openCompressed(name + ".gz")
		}
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			free++
			continue
		}
		free = 0
		if err != nil {
			closeAll(files)
			return nil, false, err
		}
		if last != nil && os.SameFile(info, last) {
			s.file.Close()
			met = true
			break
		}
		if slices.ContainsFunc(infos, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
			s.file.Close()
			continue
		}
		infos, files = append(infos, info), append(files, s)
	}
	return files, met, nil
}

func closeAll(files []*source) {
	for _, s := range files {
		s.file.Close()
	}
}

// look opens the files that a rotation has begun since the last look.
func (t *trail) look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lookLocked()
}

func (t *trail) lookLocked() {
	if len(t.files) == 0 {
		return
	}
	last, err := t.files[len(t.files)-1].file.Stat()
	if err != nil {
		return
	}
	if now, err := os.Stat(t.path); err != nil || os.SameFile(now, last) {
		return // while the engine rotates, there is no file
	}
	files, met, err := t.newer(last)
	if err != nil || len(files) == 0 {
		return // the next look tries again
	}
	if files = t.unmet(files, met); files == nil {
		return
	}
	t.add(files)
	t.letGo()
}

// unmet returns which files are new if the last one was not found among them. If it was removed, they all are, and
// there may have been more. If it still exists, a rotation hid it: the next look finds it. If it never does, something
// else has moved it, and only the newest file is new.
func (t *trail) unmet(files []*source, met bool) []*source {
	if met {
		t.misses = 0
		return files
	}
	if _, _, removed := t.files[len(t.files)-1].info(); !removed {
		if t.misses++; t.misses < maxMisses {
			closeAll(files)
			return nil
		}
		closeAll(files[:len(files)-1])
		files = files[len(files)-1:]
	}
	t.misses = 0
	t.log.Warn("log file was rotated away before the next one was found, lines may be lost", "path", t.path)
	return files
}

// letGo closes the oldest files that are removed and not read, if they hold too much of the disk.
func (t *trail) letGo() {
	held := int64(0)
	for i := len(t.files) - 2; i >= t.cur; i-- {
		s := t.files[i]
		_, size, removed := s.info()
		if !removed {
			continue
		}
		if held += size; held <= maxHeld {
			continue
		}
		n := s.unread()
		t.log.Warn("log file was rotated away before it was read", "path", t.path, "lines", n)
		t.lost(n)
		s.file.Close()
		t.files = slices.Delete(t.files, i, i+1)
	}
}

// next returns the next whole lines, and where they begin. The data is valid until the next call. It returns no data
// at the end. What is left of a file that was rotated counts as a line; so it does in the last file with all.
func (t *trail) next(all bool) (data []byte, at place, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.files) == 0 {
		return nil, 0, nil
	}
	looked := false
	size := chunkSize
	for {
		s := t.files[t.cur]
		if cap(t.buf) < size+tailSize {
			t.buf = make([]byte, size+tailSize)
		}
		data, same, err := s.read(t.buf[:size+tailSize])
		if err != nil {
			return nil, t.read(), err
		}
		last := t.cur == len(t.files)-1
		if !same {
			if t.emptied(s); !last {
				t.cur++
			}
			continue
		}
		whole := bytes.LastIndexByte(data, '\n') + 1
		switch {
		case whole > 0:
			return t.take(s, data[:whole])
		case len(data) >= size && size < maxChunk:
			size *= 4
		case len(data) >= size:
			return t.take(s, data)
		case !looked:
			t.lookLocked() // if there is another file now, this one is complete: read it once more
			looked = true
		case len(data) > 0 && (!last || all):
			return t.take(s, data)
		case last:
			t.shrink()
			return nil, t.read(), nil
		default:
			t.cur++
		}
	}
}

func (t *trail) take(s *source, data []byte) ([]byte, place, error) {
	at := placeOf(s.seq, s.off)
	s.advance(data)
	return data, at, nil
}

// shrink frees memory that a rare long line needed.
func (t *trail) shrink() {
	if cap(t.buf) > chunkSize+tailSize {
		t.buf = nil
	}
}

// emptied begins a file again that the engine has emptied, as it does instead of a rotation if it keeps one file.
func (t *trail) emptied(s *source) {
	if s == t.files[len(t.files)-1] {
		t.seq++
		s.seq = t.seq
	}
	s.off, s.tail = 0, s.tail[:0]
	t.log.Debug("log file was emptied", "path", t.path)
}

// read returns where reading goes on.
func (t *trail) read() place {
	s := t.files[t.cur]
	return placeOf(s.seq, s.off)
}

// here returns where reading goes on.
func (t *trail) here() place {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.files) == 0 {
		return 0
	}
	return t.read()
}

// position returns the position of a place, and closes the files before it.
func (t *trail) position(at place) (position, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.files) == 0 {
		return position{}, false
	}
	seq, off := at>>offsetBits, at&(1<<offsetBits-1)
	i := slices.IndexFunc(t.files, func(s *source) bool { return s.seq >= seq })
	if i < 0 {
		i, off = len(t.files)-1, 0
	} else if t.files[i].seq > seq {
		off = 0
	}
	if off == 0 && i > 0 { // the end of the file before says more than the beginning of this one
		i--
		off = t.files[i].off
	}
	i = min(i, t.cur)
	closeAll(t.files[:i])
	t.files = slices.Delete(t.files, 0, i)
	t.cur -= i
	return t.files[0].at(off), true
}

// close closes all files.
func (t *trail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	closeAll(t.files)
	t.files, t.cur = nil, 0
}
