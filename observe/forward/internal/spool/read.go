package spool

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
)

// Batch is a run of records. Record i has the number First+i.
type Batch struct {
	First   uint64
	Records [][]byte
	off     int64 // where the record after them begins
}

// end returns the number of the record after those of the batch.
func (b Batch) end() uint64 { return b.First + uint64(len(b.Records)) }

// Read returns the next records: at most so many, with about size bytes, and none if the queue is empty. The reader
// passes the batch to Commit before it reads the next.
func (q *Queue) Read(records, size int) Batch {
	for {
		s, end, ok := q.locate()
		if !ok {
			return Batch{First: q.read}
		}
		b := q.in.read(Batch{First: q.state.Next}, q.dir, s, end, records, size)
		q.mu.Lock()
		if len(b.Records) > 0 {
			q.read = b.end()
			q.mu.Unlock()
			return b
		}
		q.skip(end) // the record is damaged, or the segment was dropped: without a record's length the next can't be found
		q.mu.Unlock()
	}
}

// locate returns the segment that has the next record, and the number of the record after its last.
func (q *Queue) locate() (s segment, end uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.skip(q.oldest())
	for i, s := range q.segments {
		end := q.end
		if i+1 < len(q.segments) {
			end = q.segments[i+1].first
		}
		if q.state.Next < end {
			return s, end, true
		}
	}
	return segment{}, 0, false
}

// skip moves the reader to a record and counts those before it as lost. q.mu is held.
func (q *Queue) skip(to uint64) {
	if to > q.state.Next {
		q.state.Lost += int64(to - q.state.Next)
		q.state.Next, q.nextOff = to, 0
	}
	q.read = max(q.read, q.state.Next)
}

// cursor is a place in a segment.
type cursor struct {
	f     *os.File // nil: none
	first uint64   // the number of the segment's first record
	next  uint64   // the number of the record at off
	off   int64
}

// read reads records from b.First on, up to the first damaged one or the end of the segment.
func (c *cursor) read(b Batch, dir folder, s segment, end uint64, records, size int) Batch {
	if c.f == nil || c.first != s.first || c.next != b.First {
		if !c.seek(dir, s, b.First) {
			return b
		}
	}
	for len(b.Records) < records && size > 0 && c.next < end {
		r, ok := readRecord(c.f, c.off, s.size)
		if !ok {
			break
		}
		b.Records = append(b.Records, r)
		c.next++
		c.off += headSize + int64(len(r))
		size -= len(r)
	}
	b.off = c.off
	return b
}

// seek opens a segment at a record. It reports whether the record may be there.
func (c *cursor) seek(dir folder, s segment, number uint64) bool {
	c.close()
	f, err := os.Open(dir.path(s.first))
	if err != nil {
		return false
	}
	*c = cursor{f: f, first: s.first, next: s.first}
	for c.next < number {
		r, ok := readRecord(f, c.off, s.size)
		if !ok {
			return false
		}
		c.next++
		c.off += headSize + int64(len(r))
	}
	return true
}

func (c *cursor) close() {
	if c.f != nil {
		c.f.Close()
		c.f = nil
	}
}

// readRecord reads the record at an offset of a segment with size bytes. It reports whether it is there and whole.
func readRecord(f io.ReaderAt, off, size int64) ([]byte, bool) {
	var head [headSize]byte
	if off+headSize > size {
		return nil, false
	}
	if _, err := f.ReadAt(head[:], off); err != nil {
		return nil, false
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n == 0 || n > maxRecord || off+headSize+n > size { // zeros are what a power cut leaves; they'd have a valid CRC
		return nil, false
	}
	r := make([]byte, n)
	if _, err := f.ReadAt(r, off+headSize); err != nil {
		return nil, false
	}
	return r, crc32.Checksum(r, castagnoli) == binary.BigEndian.Uint32(head[4:])
}

// Commit records that the reader is done with a batch. Refused of its records count as lost, the others as sent. After
// an error, a queue that is opened again may return the batch again.
func (q *Queue) Commit(b Batch, refused int) error {
	q.mu.Lock()
	q.state.Next, q.nextOff = b.end(), b.off
	q.state.Sent += int64(len(b.Records) - refused)
	q.state.Lost += int64(refused)
	var done []uint64
	for len(q.segments) > 1 && q.segments[1].first <= q.state.Next {
		done = append(done, q.segments[0].first)
		q.segments = q.segments[1:]
	}
	q.mu.Unlock()
	err := q.save() // before the segments go: they may hold the only trace of the last number
	q.dir.remove(done)
	return err
}
