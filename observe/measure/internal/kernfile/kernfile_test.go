package kernfile_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rhumb/observe/measure/internal/kernfile"
)

func TestAnOpenFileIsReadAsItIsNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1\n")
	f, err := kernfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var buf []byte
	for _, text := range []string{"1\n", "", strings.Repeat("x", 4096), strings.Repeat("y", 70_001), "2\n"} {
		write(text)
		if buf, err = f.Read(buf); err != nil || string(buf) != text {
			t.Errorf("read %d bytes, %v; want %d", len(buf), err, len(text))
		}
	}
	write(strings.Repeat("z", 2<<20))
	if _, err := f.Read(nil); err == nil {
		t.Error("a file without a limit was read")
	}
	if _, err := kernfile.ReadFile(path+"x", nil); !os.IsNotExist(err) {
		t.Errorf("a file that isn't there: %v", err)
	}
}

func TestAFileOfTheKernelIsRead(t *testing.T) {
	text, err := kernfile.ReadFile("/proc/self/stat", nil)
	if err != nil || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNumbersAreReadUpToTheirEnds(t *testing.T) {
	none := math.NaN()
	for text, want := range map[string]float64{
		"12\n": 12, " \t7 kB": 7, "0.25 0.5": 0.25, "-1\n": -1, "max\n": none, "": none, "-": none, ".5": none, "3.": 3,
		"9223372036854771712\n": 9223372036854771712, "18446744073709551615": 1844674407370955161,
	} {
		if got := kernfile.Number([]byte(text)); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestAValueStandsAfterItsWholeKey(t *testing.T) {
	text := []byte("total_inactive 1\ninactive_file 2\ninactive 3\nMemFree:   4 kB\nlast 5")
	for key, want := range map[string]float64{"inactive": 3, "inactive_file": 2, "MemFree": 4, "last": 5} {
		if got := kernfile.Value(text, key); got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	for _, key := range []string{"active", "las", "nothing"} {
		if got := kernfile.Value(text, key); !math.IsNaN(got) {
			t.Errorf("%s is %v", key, got)
		}
	}
}

func FuzzNumbersAndValues(f *testing.F) {
	f.Add([]byte("a 1\nb 2.5\n"), "b")
	f.Add([]byte("-.\n\n a"), "")
	f.Fuzz(func(_ *testing.T, text []byte, key string) {
		kernfile.Number(text)
		kernfile.Value(text, key)
	})
}
