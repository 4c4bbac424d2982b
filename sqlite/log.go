package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The last changes of a daemon that was killed are only in the log beside the database (FILE-wal). When SQLite opens
// the log it takes a damaged frame for the log's end, and silently drops what follows. The index of the log
// (FILE-shm), which a killed process leaves behind too, knows how many frames there were; sqlite.org/walformat.html
// describes both. Without the index, as in a copy of the folder, the log itself shows a hole: transactions that began
// after the damaged one. But nothing shows whether its last transaction is complete. The log is therefore moved into
// the database after every deployment.
const (
	logHeader   = 32 // bytes before the first frame
	frameHeader = 24 // bytes before each frame's page
	indexHeader = 48 // it is there twice
	backfilled  = 96 // where the index says how many frames are in the database already
)

// checkLog refuses a log that has lost what was acknowledged. It changes nothing.
func (s *Store) checkLog() error {
	var err error
	for range 3 { // another process may be writing just now
		if err = s.tryLog(); err == nil {
			return nil
		}
	}
	return s.damaged(fmt.Errorf("its log %s-wal: %w", s.path, err))
}

func (s *Store) tryLog() error {
	index, err := content(s.path + "-shm") // first: the log may grow, not shrink
	if err != nil {
		return err
	}
	log, err := content(s.path + "-wal")
	if err != nil {
		return err
	}
	kept, size, sound := frames(log)
	if !sound && len(log) > logHeader {
		return errors.New("its beginning is damaged")
	}
	if sound && goesOn(log, logHeader+kept*size, size) {
		return fmt.Errorf("a change after the first %d changed pages can't be read, and later ones can", kept)
	}
	acknowledged, salt, known := acknowledged(index)
	if !known || sound && salt != [8]byte(log[16:24]) {
		return nil // the index belongs to another log, or to none
	}
	if acknowledged > kept {
		return fmt.Errorf("only %d of %d changed pages can be read", kept, acknowledged)
	}
	return nil
}

// content reads a file. A missing file is empty.
func content(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// goesOn reports whether a log has a complete transaction from the offset on, and frames of another one after it.
// SQLite begins a transaction only when the one before is on disk, so what is at the offset was once whole. The
// remains of a transaction that a crash cut off are the log's last.
func goesOn(log []byte, at, size int) bool {
	complete := false
	for ; at+size <= len(log); at += size {
		frame := log[at:]
		if [8]byte(frame[8:16]) != [8]byte(log[16:24]) {
			continue // an older log's, or damaged here
		}
		if complete {
			return true
		}
		complete = binary.BigEndian.Uint32(frame[4:]) != 0 // the size of the database after a commit
	}
	return false
}

// frames counts the frames of a log up to the first that is damaged or an older log's, and returns the size of each.
// A log whose header can't be right has none.
func frames(log []byte) (n, size int, sound bool) {
	if len(log) < logHeader {
		return 0, 0, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch binary.BigEndian.Uint32(log) {
	case 0x377f0682:
	case 0x377f0683:
		order = binary.BigEndian
	default:
		return 0, 0, false
	}
	var sum checksum
	sum.add(order, log[:24])
	if !sum.stands(log[24:]) {
		return 0, 0, false
	}
	size = frameHeader + int(binary.BigEndian.Uint32(log[8:]))
	for rest := log[logHeader:]; len(rest) >= size; rest = rest[size:] {
		sum.add(order, rest[:8])
		sum.add(order, rest[frameHeader:size])
		if [8]byte(rest[8:16]) != [8]byte(log[16:24]) || !sum.stands(rest[16:]) {
			break
		}
		n++
	}
	return n, size, true
}

// acknowledged returns how many frames the log has that aren't all in the database yet, and the log's salt. It knows
// nothing if the index is torn, or not there.
func acknowledged(index []byte) (n int, salt [8]byte, known bool) {
	if len(index) < backfilled+4 || [indexHeader]byte(index) != [indexHeader]byte(index[indexHeader:]) {
		return 0, salt, false
	}
	var sum checksum
	sum.add(binary.NativeEndian, index[:40])
	if sum != (checksum{binary.NativeEndian.Uint32(index[40:]), binary.NativeEndian.Uint32(index[44:])}) {
		return 0, salt, false
	}
	last := binary.NativeEndian.Uint32(index[16:])
	if last == binary.NativeEndian.Uint32(index[backfilled:]) {
		return 0, salt, false // the database has all of it
	}
	return int(last), [8]byte(index[32:40]), true
}

// checksum is SQLite's for logs.
type checksum [2]uint32

func (c *checksum) add(order binary.ByteOrder, b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		c[0] += order.Uint32(b) + c[1]
		c[1] += order.Uint32(b[4:]) + c[0]
	}
}

// stands reports whether the checksum is the stored one.
func (c *checksum) stands(written []byte) bool {
	return c[0] == binary.BigEndian.Uint32(written) && c[1] == binary.BigEndian.Uint32(written[4:])
}

// emptyLog moves what is in the log into the database. It need not succeed: while another process reads, the log stays.
func (s *Store) emptyLog(ctx context.Context) {
	// If it were cut off, the short timeout would stay.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), emptyTimeout)
	defer cancel()
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	const empty = "PRAGMA busy_timeout = 200; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = "
	_, _ = conn.ExecContext(ctx, empty+busyTimeout)
}
