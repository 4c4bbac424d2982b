package build

import (
	"path/filepath"
	"testing"

	"rhumb"
)

func TestAnImageIsNamedByCommitOrContent(t *testing.T) {
	long := rhumb.Git{Commit: "1f3c9a2bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}
	dirty := long
	dirty.Dirty = true
	for want, git := range map[string]rhumb.Git{
		"shop-web:1f3c9a2": long, "shop-web:1f3c9a2-dirty": dirty, "shop-web:0123456789ab": {},
		"shop-web:abc": {Commit: "abc"},
	} {
		if got := Name("shop", "web", git, "0123456789ab"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestATagChangesOnlyWithTheContent(t *testing.T) {
	files := map[string]string{"Dockerfile": "FROM scratch\nCOPY a /\n", "a": "one", ".dockerignore": "noise\n",
		"noise": "1"}
	content := func(b rhumb.Build) string {
		t.Helper()
		got, err := Content(tree(t, files), "", b) // another folder each time
		if err != nil || len(got) != shortContent {
			t.Fatalf("got %q, %v", got, err)
		}
		return got
	}
	first := content(rhumb.Build{Context: "/here"})
	files["noise"] = "2"
	if again := content(rhumb.Build{Context: "/there"}); again != first {
		t.Errorf("%s, and elsewhere %s", first, again)
	}
	seen := map[string]bool{first: true, content(rhumb.Build{Target: "x"}): true,
		content(rhumb.Build{Args: map[string]string{"A": "1"}}): true}
	files["a"] = "two"
	seen[content(rhumb.Build{})] = true
	files["b"] = "-> a"
	seen[content(rhumb.Build{})] = true
	if len(seen) != 5 {
		t.Errorf("only %d of 5 changes are seen", len(seen))
	}
	if _, err := Content(filepath.Join(t.TempDir(), "none"), "", rhumb.Build{}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("without a folder: %v", err)
	}
}
