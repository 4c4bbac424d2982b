package collect

import (
	"bytes"
	"compress/gzip"
	"errors"
	"hash/fnv"
	"io"
	"os"
	"syscall"
)

// tailSize is how many bytes before an offset identify a file: they hold the time of its last line, in nanoseconds.
const tailSize = 64

// source is one file of a container's log, open so that it can be read when it is renamed or removed.
type source struct {
	file *os.File
	seq  int64  // of its place: grows from file to file
	off  int64  // read up to here
	tail []byte // the last bytes before off, at most tailSize
}

// openSource opens a file.
func openSource(path string) (*source, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return &source{file: f}, info, nil
}

// openCompressed opens a compressed file, as a temporary one without a name that has its content.
func openCompressed(path string) (*source, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, err
	}
	plain, err := os.CreateTemp("", "rhumb-log-*")
	if err != nil {
		return nil, nil, err
	}
	info, err := plain.Stat()
	if err = errors.Join(err, os.Remove(plain.Name())); err == nil {
		_, err = io.Copy(plain, z)
	}
	if err != nil {
		plain.Close()
		return nil, nil, err
	}
	return &source{file: plain}, info, nil
}

// info returns the inode, the size and whether the file has been removed.
func (s *source) info() (inode uint64, size int64, removed bool) {
	i, err := s.file.Stat()
	if err != nil {
		return 0, 0, false
	}
	st, ok := i.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, i.Size(), false
	}
	return st.Ino, i.Size(), st.Nlink == 0
}

// read reads into buf what follows. It returns false if what was read before is no longer there: the file was emptied.
func (s *source) read(buf []byte) (data []byte, same bool, err error) {
	n, err := s.file.ReadAt(buf, s.off-int64(len(s.tail)))
	if err != nil && err != io.EOF {
		return nil, true, err
	}
	if n < len(s.tail) || !bytes.Equal(buf[:len(s.tail)], s.tail) {
		return nil, false, nil
	}
	return buf[len(s.tail):n], true, nil
}

// advance counts bytes, which read has returned, as read.
func (s *source) advance(data []byte) {
	s.off += int64(len(data))
	if len(data) < tailSize {
		s.tail = append(s.tail, data...)
		data = s.tail
	}
	s.tail = append(s.tail[:0], data[max(0, len(data)-tailSize):]...)
}

// seek goes to an offset of the file, and returns false if the bytes before it are not those that have a hash.
func (s *source) seek(off int64, hash uint64) bool {
	tail := make([]byte, min(off, tailSize))
	if _, err := s.file.ReadAt(tail, off-int64(len(tail))); err != nil || hashOf(tail) != hash {
		return false
	}
	s.off, s.tail = off, tail
	return true
}

// at returns the position of an offset up to which the file was read.
func (s *source) at(off int64) position {
	inode, _, _ := s.info()
	if off == s.off {
		return position{Inode: inode, Offset: off, Tail: hashOf(s.tail)}
	}
	tail := make([]byte, min(off, tailSize))
	if _, err := s.file.ReadAt(tail, off-int64(len(tail))); err != nil {
		return position{Inode: inode} // it was emptied: all of it is new
	}
	return position{Inode: inode, Offset: off, Tail: hashOf(tail)}
}

func hashOf(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b) // never fails
	return h.Sum64()
}

// unread counts the lines that were not read.
func (s *source) unread() int64 {
	var lines int64
	buf := make([]byte, 256<<10)
	for off := s.off; ; {
		n, err := s.file.ReadAt(buf, off)
		lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		off += int64(n)
		if err != nil || n == 0 {
			return lines
		}
	}
}
