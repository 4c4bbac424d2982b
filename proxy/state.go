package proxy

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const tableFile = "table.json"

// save puts the table on disk. A table that is acknowledged is there after a power cut too.
func (p *Proxy) save(t rhumb.Table) error {
	if p.options.State == "" {
		return nil
	}
	b, err := json.Marshal(t)
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "routing table: not saved: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(p.options.State, tableFile), b, 0o600); err != nil {
		return rhumb.Errorf(rhumb.Internal, "routing table: not saved: %w", err).WithHint("is the disk full?")
	}
	return nil
}

// load gives the table on disk, the empty one if there is none. One that isn't understood is set aside, not deleted: the
// daemon sends its own soon.
func (p *Proxy) load() (rhumb.Table, error) {
	if p.options.State == "" {
		return rhumb.Table{}, nil
	}
	path := filepath.Join(p.options.State, tableFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return rhumb.Table{}, nil
	}
	if err != nil {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Internal, "routing table: not read: %w", err)
	}
	t, err := decodeTable(b, false)
	if err == nil {
		return cloneTable(t), nil
	}
	aside := path + "." + time.Now().UTC().Format("20060102T150405") + ".bad"
	p.log.Warn("table on disk isn't understood, set aside; starting without", "file", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Internal, "routing table: not set aside: %w", err)
	}
	return rhumb.Table{}, nil
}
