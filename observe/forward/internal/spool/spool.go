// Package spool is a bounded queue of records on disk, with one writer and one reader. A record survives the death of
// the process once Append has returned, and a power cut once Sync has returned. A reader never sees a part of a record.
//
// The queue is a folder of segments, files of about a megabyte that are only appended to. The name of a segment is the
// number of its first record, and records are numbered without gaps. So a record that is missing, because its segment
// was dropped or is damaged, shows as a gap between two numbers: it is counted as lost when the reader passes it.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"

	"rhumb/internal/atomicfile"
)

const (
	maxSegment = 1 << 20  // bytes after which a segment ends
	maxRecord  = 64 << 20 // a longer record is damaged
	headSize   = 8        // of a record: its length and its CRC-32C
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Queue is a queue on disk. Append, Sync and Drop are for one goroutine, the writer; Read and Commit for another, the
// reader. Lose and Stats are for any.
type Queue struct {
	dir     folder
	limit   int64 // bytes of all segments
	segment int64 // bytes after which a segment ends

	// The writer's.
	out     *os.File // the segment that grows; nil: there is none
	outSize int64    // without what a failed write left
	named   bool     // the folder has a name that isn't on disk yet

	in cursor // the reader's

	mu       sync.Mutex
	segments []segment // oldest first
	end      uint64    // the number of the next record to be appended
	read     uint64    // the number of the next record to be read
	state    state
	nextOff  int64 // where state.Next begins in its segment
}

// segment is a file of records.
type segment struct {
	first uint64 // the number of its first record
	size  int64  // bytes that were written completely
}

// Stats are the numbers of a queue. Sent and Lost have been counted since the queue was created.
type Stats struct {
	Lines int64 // records that wait
	Bytes int64 // their size on disk
	Sent  int64 // records that were committed
	Lost  int64 // records that were dropped, damaged, refused, or never appended
}

// ID returns the queue's random name. With the number of a record it names the record uniquely.
func (q *Queue) ID() string { return q.state.ID }

// Append writes records. It returns how many of them it wrote: fewer than all, with an error, if the disk is full or
// fails. If the queue is full, its oldest segment is dropped, and its records are lost.
func (q *Queue) Append(records [][]byte) (int, error) {
	done := 0
	for done < len(records) {
		if err := q.grow(); err != nil {
			return done, err
		}
		b, n := frame(records[done:], q.segment-q.outSize)
		if err := q.write(b, n); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// frame returns the first of the records as they are on disk: at least one, and others until they have size bytes.
func frame(records [][]byte, size int64) (b []byte, n int) {
	for n < len(records) && (n == 0 || int64(len(b)) < size) {
		r := records[n]
		b = binary.BigEndian.AppendUint32(b, uint32(len(r)))
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(r, castagnoli))
		b = append(b, r...)
		n++
	}
	return b, n
}

// write appends n records to the segment that grows, all or none.
func (q *Queue) write(b []byte, n int) error {
	if _, err := q.out.Write(b); err != nil {
		if q.out.Truncate(q.outSize) != nil {
			q.abandon()
		}
		return fmt.Errorf("write a segment of the queue: %w", err)
	}
	q.outSize += int64(len(b))
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end += uint64(n)
	q.segments[len(q.segments)-1].size = q.outSize
	return nil
}

// abandon ends a segment after an error. What a failed write left at its end is damaged, and is skipped as such.
func (q *Queue) abandon() {
	q.out.Close()
	q.out = nil
}

// grow makes sure that there is a segment with room for a record.
func (q *Queue) grow() error {
	if q.out != nil && q.outSize >= q.segment {
		if err := q.seal(); err != nil {
			return err
		}
	}
	if q.out != nil {
		return nil
	}
	q.Drop(q.limit - q.segment)
	f, err := os.OpenFile(q.dir.path(q.end), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("create a segment of the queue: %w", err)
	}
	q.out, q.outSize, q.named = f, 0, true
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.segments); n == 0 || q.segments[n-1].first != q.end { // an abandoned one has no record
		q.segments = append(q.segments, segment{first: q.end})
	}
	return nil
}

// seal ends the segment that grows.
func (q *Queue) seal() error {
	err := q.Sync()
	if q.out != nil {
		q.abandon()
	}
	return err
}

// Sync returns once all records that were appended are on disk.
func (q *Queue) Sync() error {
	if q.out == nil {
		return nil
	}
	if err := q.out.Sync(); err != nil {
		q.abandon() // after a failed fsync the kernel may have dropped what it held; another fsync would hide that
		return fmt.Errorf("sync a segment of the queue: %w", err)
	}
	if !q.named {
		return nil
	}
	if err := atomicfile.SyncDir(string(q.dir)); err != nil {
		return fmt.Errorf("sync the queue's folder: %w", err)
	}
	q.named = false
	return nil
}

// Drop removes the oldest segments until the others have at most so many bytes. It keeps the segment that grows.
func (q *Queue) Drop(limit int64) {
	q.mu.Lock()
	var total int64
	for _, s := range q.segments {
		total += s.size
	}
	var dropped []uint64
	for total > limit && len(q.segments) > 0 && (q.out == nil || len(q.segments) > 1) {
		dropped = append(dropped, q.segments[0].first)
		total -= q.segments[0].size
		q.segments = q.segments[1:]
	}
	q.mu.Unlock()
	q.dir.remove(dropped)
}

// Lose counts records that were never appended.
func (q *Queue) Lose(records int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.state.Lost += int64(records)
}

// Stats returns the queue's numbers.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{Sent: q.state.Sent, Lost: q.state.Lost, Lines: int64(q.end - q.state.Next)}
	for i, g := range q.segments {
		last := i+1 == len(q.segments) || q.segments[i+1].first > q.state.Next
		switch {
		case g.first > q.state.Next:
			s.Bytes += g.size
		case last: // it has the next record
			s.Bytes += max(0, g.size-q.nextOff)
		}
	}
	if s.Lines == 0 {
		s.Bytes = 0
	}
	if oldest := q.oldest(); oldest > q.state.Next { // what isn't being sent now is lost; the reader counts it later
		s.Lost += int64(oldest - min(oldest, max(q.read, q.state.Next)))
		s.Lines = int64(q.end - oldest)
	}
	return s
}

// oldest returns the number of the oldest record that is there.
func (q *Queue) oldest() uint64 {
	if len(q.segments) == 0 {
		return q.end
	}
	return q.segments[0].first
}

// Close syncs and closes the queue. Neither the writer nor the reader may use it afterwards.
func (q *Queue) Close() error {
	err := q.seal()
	q.in.close()
	return errors.Join(err, q.save())
}
