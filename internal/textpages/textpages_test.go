package textpages

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestOnlyWhatIsAsInTheFileIsClean(t *testing.T) {
	const smaps = `00400000-00a3c000 r-xp 00000000 fe:01 1835019                            /opt/a program (deleted)
Size:               6384 kB
Rss:                4096 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00a3c000-01161000 r--p 0063c000 fe:01 1835019                            /opt/a program (deleted)
Anonymous:             4 kB
01161000-011c5000 rw-p 00d61000 fe:01 1835019                            /opt/a program (deleted)
Anonymous:             0 kB
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
Anonymous:           132 kB
`
	got, err := mappings(strings.NewReader(smaps))
	want := []mapping{{0x400000, 0xa3c000, "/opt/a program (deleted)", true},
		{0xa3c000, 0x1161000, "/opt/a program (deleted)", false},
		{0x1161000, 0x11c5000, "/opt/a program (deleted)", false}, {0x7f0000000000, 0x7f0000021000, "", false}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := mappings(strings.NewReader("x-y r-xp 0 0 0\n")); err == nil {
		t.Error("an address that isn't one is no error")
	}
}

func TestAProcessGoesOnWithoutItsPages(t *testing.T) {
	before := ofFiles(t)
	if err := Drop(); err != nil {
		t.Fatal(err)
	}
	after := ofFiles(t)
	t.Logf("%d kB of files before, %d after", before, after)
	if after >= before {
		t.Errorf("%d kB of files before, %d after", before, after)
	}
}

// ofFiles returns the kilobytes of this process that are pages of files.
func ofFiles(t *testing.T) (kb int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "RssFile:")
	if _, err := fmt.Sscan(after, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}
