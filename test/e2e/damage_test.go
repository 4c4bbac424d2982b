package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestADamagedLogIsRefusedAndADamagedTableIsSetAside(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, good)
	k.must(0, "deploy")
	s.kill()
	log := filepath.Join(s.data, "rhumb.db-wal")
	s.refusesFlipped("the database's log", log, len(s.content(log))/2)
	k.says(k.url("/"), `"Release":"one"`)
	table := filepath.Join(s.data, "proxy", "table.json")
	s.crash()
	whole := s.content(table)
	flipped := bytes.Clone(whole)
	flipped[bytes.LastIndex(whole, []byte(":8000"))-1] ^= 1 // another address, which looks as good
	if err := os.WriteFile(table, flipped, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	eventually(t, resumeLimit, "it serves", func() error {
		code, body, err := fetch(k.url("/"))
		if err != nil || code != 200 {
			return fmt.Errorf("%d %q %v", code, body, err)
		}
		return nil
	})
	aside, err := filepath.Glob(table + ".*.bad")
	if err != nil || len(aside) != 1 || !bytes.Equal(s.content(aside[0]), flipped) {
		t.Errorf("set aside: %v, %v", aside, err)
	}
	s.await()
	k.settled(resumeLimit)
}
