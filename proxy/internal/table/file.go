package table

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
)

// File is where a proxy keeps the table that it serves.
type File struct {
	Dir string // "": nowhere
	Log *slog.Logger
}

const tableFile = "table.json"

// sum adds a second line to a table's JSON: its checksum. A flipped bit could otherwise turn it into another valid
// table.
func sum(table []byte) []byte {
	return fmt.Appendf(bytes.Clone(table), "\nsha256 %x\n", sha256.Sum256(table))
}

// readTable reads what sum has made. A single line, as a person may have written it, needs no checksum.
func readTable(b []byte) (rhumb.Table, error) {
	table, rest, _ := bytes.Cut(b, []byte("\n"))
	if len(rest) > 0 && !bytes.Equal(sum(table), b) {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Invalid,
			"routing table: wrong checksum: the file was changed or is damaged")
	}
	return Decode(table, false)
}

// Save puts the table on disk. After it returns nil, the table is there even after a power cut.
func (f File) Save(t rhumb.Table) error {
	if f.Dir == "" {
		return nil
	}
	b, err := json.Marshal(t)
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "routing table: can't be saved: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(f.Dir, tableFile), sum(b), 0o600); err != nil {
		return rhumb.Errorf(rhumb.Internal, "routing table: can't be saved: %w", err).WithHint("is the disk full?")
	}
	return nil
}

// Load returns the table on disk, or the empty table if there is none. A file that can't be parsed is set aside, not
// deleted: the daemon sends its own table soon.
func (f File) Load() (rhumb.Table, error) {
	if f.Dir == "" {
		return rhumb.Table{}, nil
	}
	path := filepath.Join(f.Dir, tableFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return rhumb.Table{}, nil
	}
	if err != nil {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Internal, "routing table: can't be read: %w", err)
	}
	t, err := readTable(b)
	if err == nil {
		return t.Clone(), nil
	}
	aside := path + "." + time.Now().UTC().Format("20060102T150405") + ".bad"
	f.Log.Warn("routing table on disk can't be parsed: set aside, starting without one", "file", aside,
		"err", err)
	if err := os.Rename(path, aside); err != nil {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Internal, "routing table: can't be set aside: %w", err)
	}
	return rhumb.Table{}, nil
}
