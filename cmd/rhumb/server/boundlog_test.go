package server

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTheLogOfAProcessIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.log")
	if err := boundLog(path); err != nil {
		t.Errorf("a log that isn't there: %v", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
	for n := range 35 {
		line[0] = 'a' + byte(n)
		if _, err := f.Write(line); err != nil {
			t.Fatal(err)
		}
		if err := boundLog(path); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != 11<<20 || len(now) != 2<<20 {
		t.Errorf("there are %d bytes, and %d before them", len(now), len(before))
	}
	if before[0] != 'a'+22 || now[0] != 'a'+33 {
		t.Errorf("the lines begin with %c, and %c before", now[0], before[0])
	}
}
