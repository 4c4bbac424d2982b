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

// sum adds a second line to a table's JSON: its checksum. A flipped bit can make another table that looks as good.
func sum(table []byte) []byte {
	return fmt.Appendf(bytes.Clone(table), "\nsha256 %x\n", sha256.Sum256(table))
}

// readTable reads what sum gave. A single line, as a person may have written it, needs no checksum.
func readTable(b []byte) (rhumb.Table, error) {
	table, rest, _ := bytes.Cut(b, []byte("\n"))
	if len(rest) > 0 && !bytes.Equal(sum(table), b) {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Invalid,
			"routing table: the checksum is another one's: it was changed, or is damaged")
	}
	return Decode(table, false)
}

// Save puts the table on disk. A table that is acknowledged is there after a power cut too.
func (f File) Save(t rhumb.Table) error {
	if f.Dir == "" {
		return nil
	}
	b, err := json.Marshal(t)
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "routing table: not saved: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(f.Dir, tableFile), sum(b), 0o600); err != nil {
		return rhumb.Errorf(rhumb.Internal, "routing table: not saved: %w", err).WithHint("is the disk full?")
	}
	return nil
}

// Load gives the table on disk, the empty one if there is none. One that isn't understood is set aside, not deleted:
// the daemon sends its own soon.
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
		return rhumb.Table{}, rhumb.Errorf(rhumb.Internal, "routing table: not read: %w", err)
	}
	t, err := readTable(b)
	if err == nil {
		return Clone(t), nil
	}
	aside := path + "." + time.Now().UTC().Format("20060102T150405") + ".bad"
	f.Log.Warn("table on disk isn't understood, set aside; starting without", "file", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Internal, "routing table: not set aside: %w", err)
	}
	return rhumb.Table{}, nil
}
