package hostsfile

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheLinesOfOthersStayInAHostsFile(t *testing.T) {
	engine := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n# a note\n\n10.0.0.1\tmine\n"
	old := engine + "10.9.0.1\tapi\n10.9.0.2\tdb\t# rhumb\n172.18.0.2\tf00\n"
	atStart := map[string]string{"api": "10.9.0.1"}
	want := engine + "172.18.0.2\tf00\n10.9.0.3\tapi\t# rhumb\n10.9.0.4\tcache\t# rhumb\n"
	if got := string(With([]byte(old), atStart, map[string]string{"cache": "10.9.0.4", "api": "10.9.0.3"})); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := string(With([]byte(old), atStart, map[string]string{"api": "10.9.0.1", "db": "10.9.0.2"})); got != old {
		t.Errorf("nothing new, and yet it is changed:\n%s", got)
	}
	if got := string(With([]byte("10.0.0.1\tlast"), nil,
		map[string]string{"a": "10.0.0.2"})); got != "10.0.0.1\tlast\n10.0.0.2\ta\t# rhumb\n" {
		t.Errorf("a last line without its end: %q", got)
	}
}

func TestAnyChangesOfHostsLeaveTheLastOnesAndTheEnginesLines(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	engine := []string{"127.0.0.1\tlocalhost", "ff02::1\tip6-allnodes", "172.18.0.2\t0123456789ab",
		"10.0.0.1\tapi.example.com api"}
	some := func() map[string]string {
		m := map[string]string{}
		for range r.IntN(6) {
			m[string(rune('a'+r.IntN(8)))] = "10.9.0." + string(rune('1'+r.IntN(3)))
		}
		return m
	}
	path := filepath.Join(t.TempDir(), "hosts")
	for range 300 {
		atStart := some()
		text := strings.Join(engine, "\n") + "\n"
		for _, name := range slices.Sorted(maps.Keys(atStart)) {
			text += atStart[name] + "\t" + name + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Stat(path)
		for range r.IntN(4) + 1 {
			hosts := some()
			if err := Edit(path, func(old []byte) []byte { return With(old, atStart, hosts) }); err != nil {
				t.Fatal(err)
			}
			got, _ := os.ReadFile(path)
			lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
			if !slices.Equal(lines[:len(engine)], engine) {
				t.Fatalf("the engine's lines: %q", lines)
			}
			found := map[string]string{}
			for _, l := range lines[len(engine):] {
				f := strings.Fields(l)
				found[f[1]] = f[0]
			}
			if !maps.Equal(found, hosts) || len(lines) != len(engine)+len(hosts) {
				t.Fatalf("want %v, have %q", hosts, lines)
			}
		}
		if after, _ := os.Stat(path); !os.SameFile(before, after) {
			t.Fatal("it is another file, which a container would not see")
		}
	}
}

func TestTheMachinesHostsAreReadWithoutWhatCanNotBePassedOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	text := "127.0.0.1 localhost # here\n\nfe80::1%lo0 zone\n10.0.0.5\tdb.lan db\n# 10.0.0.6 no\nnonsense\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Machine(path)
	if want := []string{"localhost:127.0.0.1", "db.lan:10.0.0.5", "db:10.0.0.5"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if got, err := Machine(path + "-none"); got != nil || err != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
}

func TestAHostsFileStaysAsItIsWhereThereIsNoRoomForMore(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	disk := t.TempDir()
	if err := unix.Mount("rhumb-test", disk, "tmpfs", 0, "size=4k"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	path := filepath.Join(disk, "hosts")
	text := strings.Repeat("10.0.0.1\tmine\n", os.Getpagesize()/14)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	err := Edit(path, func(old []byte) []byte { return append([]byte("10.9.0.1\tapi\t# rhumb\n"), old...) })
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("it has %d bytes now, not %d: %.30q, %v", len(got), len(text), got, err)
	}
}
