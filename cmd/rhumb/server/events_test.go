package server

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/seal"
	"rhumb/sqlite"
)

func TestEachStoredEventIsALine(t *testing.T) {
	box, err := seal.Open(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "rhumb.db"), box)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var lines bytes.Buffer
	s := withLines(store, &lines)
	failed := rhumb.Event{At: time.Now(), Kind: rhumb.EventFailed, Stack: "shop", Service: "web", Release: 42,
		Replica: "shop-web.42.1", Text: "a\nb", Failure: &rhumb.Failure{Reason: "exited with 1"}}
	for _, e := range []rhumb.Event{failed, {At: time.Now(), Kind: rhumb.EventPull, Stack: "shop"}} {
		if _, err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	var got map[string]any
	if err := json.Unmarshal(lines.Bytes(), &got); err != nil || strings.Contains(lines.String(), "\n") {
		t.Fatalf("the lines are %s: %v", &lines, err)
	}
	for name, want := range map[string]any{"level": "error", "kind": "failed", "stack": "shop", "service": "web",
		"release": 42.0, "replica": "shop-web.42.1", "msg": "a\nb", "id": 1.0} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if withLines(store, nil) != rhumb.Store(store) {
		t.Error("without a writer the store is another one")
	}
}
