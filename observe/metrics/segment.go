package metrics

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"rhumb/internal/atomicfile"
)

// readSegment returns the error at which a segment of a log can't be read further. It is torn if there is nothing
// behind.
func readSegment(path string) (torn bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return false, err
	}
	r := wlog.NewReader(bufio.NewReader(f))
	for r.Next() {
		continue
	}
	return r.Offset() >= i.Size(), r.Err()
}

const maxSegment = 256 << 20 // bytes that salvage reads

// salvage replaces a segment of a log with one that has all its readable records.
func salvage(path string) error {
	b, err := atomicfile.Read(path, maxSegment)
	if err != nil {
		return err
	}
	dir := path + ".mend"
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := wlog.NewSize(nil, nil, dir, maxSegment, compression.Snappy)
	if err != nil {
		return err
	}
	for rec := range records(b) {
		if err = w.Log(rec); err != nil {
			break
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := os.Rename(wlog.SegmentName(dir, 0), path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// The form of a segment: pages, each with fragments of records, each with a header. The header has the type, of which
// two more bits are the compression of the whole record, then the length and the checksum of the fragment.
const (
	pageSize   = 32 << 10
	headerSize = 7

	typeMask   = 7
	snappyBit  = 8
	zstdBit    = 16
	typePad    = 0 // the rest of the page is empty
	typeFull   = 1
	typeFirst  = 2
	typeMiddle = 3
	typeLast   = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// records yields the readable records of a segment. Behind a fragment that is damaged it goes on with the next page; a
// record of which a fragment is missing is left out.
func records(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		var record []byte // from its first fragment on; nil: it has none
		for page := range slices.Chunk(b, pageSize) {
			for len(page) > headerSize && page[0]&typeMask != typePad {
				data, ok := fragment(page)
				if !ok {
					record = nil
					break
				}
				switch page[0] & typeMask {
				case typeFull, typeFirst:
					record = append(make([]byte, 0, len(data)), data...)
				case typeMiddle, typeLast:
					if record != nil {
						record = append(record, data...)
					}
				}
				if t := page[0] & typeMask; record != nil && (t == typeFull || t == typeLast) {
					if rec, ok := unpacked(page[0], record); ok && !yield(rec) {
						return
					}
					record = nil
				}
				page = page[headerSize+len(data):]
			}
		}
	}
}

// fragment returns the data of the fragment at the beginning of the rest of a page; false: it is damaged.
func fragment(page []byte) ([]byte, bool) {
	n, sum := int(binary.BigEndian.Uint16(page[1:])), binary.BigEndian.Uint32(page[3:])
	if n > len(page)-headerSize {
		return nil, false
	}
	data := page[headerSize : headerSize+n]
	return data, crc32.Checksum(data, castagnoli) == sum
}

// unpacked returns the content of a record.
func unpacked(header byte, record []byte) ([]byte, bool) {
	kind := compression.None
	switch {
	case header&snappyBit != 0:
		kind = compression.Snappy
	case header&zstdBit != 0:
		kind = compression.Zstd
	}
	rec, err := compression.Decode(kind, record, compression.NewSyncDecodeBuffer())
	return rec, err == nil
}
