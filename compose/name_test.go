package compose_test

import (
	"os"
	"path/filepath"
	"testing"

	"rhumb"
	"rhumb/compose"
)

func TestTheNameIsFoundAlthoughTheRestIsUnsettled(t *testing.T) {
	dir := t.TempDir()
	file := "name: shop\nservices:\n  web:\n    image: ${UNSET}\n    nonsense: 1\n"
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, inner} {
		name, found, err := compose.Name(compose.Options{Dir: d})
		if name != "shop" || !found || err != nil {
			t.Errorf("in %s: got %q, %t, %v", d, name, found, err)
		}
	}
	if name, _, err := compose.Name(compose.Options{Dir: dir, Name: "other"}); name != "other" || err != nil {
		t.Errorf("with -p: got %q, %v", name, err)
	}
}

func TestWhereNoComposeFileIsThereIsNoNameAndNoError(t *testing.T) {
	if name, found, err := compose.Name(compose.Options{Dir: t.TempDir()}); name != "" || found || err != nil {
		t.Errorf("got %q, %t, %v", name, found, err)
	}
	if _, found, err := compose.Name(compose.Options{Dir: t.TempDir(), Files: []string{"mine.yaml"}}); !found || rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("one that is named and missing: got %t, %v", found, err)
	}
}
