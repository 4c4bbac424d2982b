package parttest_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"rhumb/internal/disk"
	"rhumb/internal/parttest"
)

func TestMain(m *testing.M) {
	parttest.Play(map[string]func() error{
		"where": func() error {
			dir, err := os.Getwd()
			fmt.Println(dir)
			return err
		},
		"fail":       func() error { return errors.New("it failed") },
		"small disk": smallDisk,
	})
	os.Exit(m.Run())
}

func smallDisk() error {
	if err := parttest.Mount("700k"); err != nil {
		return err
	}
	if u, err := disk.Look("disk"); err != nil || u.Usable != 700<<10 {
		return fmt.Errorf("the disk has %d bytes: %w", u.Usable, err)
	}
	return nil
}

func TestAPartIsPlayedInItsFolder(t *testing.T) {
	dir := t.TempDir()
	out, err := parttest.Command(t, "where", dir).Output()
	if err != nil || strings.TrimSpace(string(out)) != dir {
		t.Errorf("played in %q: %v", out, err)
	}
}

func TestAPartThatFailsOrIsUnknownIsAnError(t *testing.T) {
	for _, name := range []string{"fail", "unknown"} {
		c := parttest.Command(t, name, t.TempDir())
		c.Stderr = nil
		if err := c.Run(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAPartHasADiskOfItsOwn(t *testing.T) { parttest.InMounts(t, "small disk") }
