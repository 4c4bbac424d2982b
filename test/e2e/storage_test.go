package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rhumb"
)

func TestAWriteThatFailsIsReportedAndNothingIsLost(t *testing.T) {
	needDocker(t)
	s := idleServer(t, binary)
	s.flags = []string{"--observe", "off"} // its writes would be counted, and it has a test of its own
	f := newFaults(t, s, s.data)
	s.start()
	s.await()
	k := newTrio(t, s)
	k.must(0, "deploy")
	x := &torment{trioStack: k, begin: k.version, want: rhumb.PhaseConverged, serves: 1}
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20})
	before := f.count()
	x.begin(x.v + 1)
	k.must(0, "deploy")
	x.judge(nil)
	all := f.count() - before
	t.Logf("a deployment makes %d writes and syncs", all)
	step := max(1, all/longer(4, all))
	for n := 1; n <= all; n += step {
		x.fails(f, n, 1_000_000, syscall.ENOSPC)
		x.fails(f, n+step/2, 1, syscall.EIO)
	}
	for n := 1; n <= longer(2, 10); n++ {
		x.startsLame(f, n, 1_000_000, syscall.ENOSPC)
		x.startsLame(f, n, 1, syscall.EIO)
	}
	y := l.end()
	t.Log(y)
	if y.failed > 0 {
		t.Errorf("%d requests failed", y.failed)
	}
}

// startsLame kills the daemon and starts it while writes fail: it says why it can't, or it can. Afterwards it knows
// all that it knew.
func (x *torment) startsLame(f *faults, n, count int, with syscall.Errno) {
	x.t.Helper()
	before := x.releases()
	x.s.kill()
	from := len(x.s.content(x.s.logPath()))
	f.arm(n, count, with)
	x.s.start()
	time.Sleep(500 * time.Millisecond)
	failed := f.failures()
	f.arm(0, 0, 0)
	said := string(x.s.content(x.s.logPath())[from:])
	answers := x.s.rhumb("", "stacks").code == 0
	x.t.Logf("started with %v at write %d (%s): it answers: %v", with, n, failed, answers)
	if !answers && (!strings.Contains(said, x.s.data) || !strings.Contains(said, "hint: ")) {
		x.t.Errorf("its error doesn't name the file and what to do:\n%s", said)
	}
	x.s.kill()
	x.s.start()
	x.s.await()
	if after := x.releases(); !slices.Equal(before, after) {
		x.t.Errorf("releases before: %v, after: %v", before, after)
	}
	x.judge(nil)
}

// fails deploys while writes fail, lets them succeed again after a while, and checks that all ends well and nothing
// is lost.
func (x *torment) fails(f *faults, n, count int, with syscall.Errno) {
	x.t.Helper()
	before, releases := x.last().ID, len(x.releases())
	x.begin(x.v + 1)
	f.arm(n, count, with)
	asked := make(chan result, 1)
	go func() { asked <- x.rhumb("deploy", "--wait-timeout", "30s") }()
	var r result
	select {
	case r = <-asked:
	case <-f.struck(time.Second):
		f.arm(0, 0, 0)
		r = <-asked
	}
	f.arm(0, 0, 0)
	failed := f.failures()
	x.t.Logf("%v at write %d (%v): exit %d", with, n, failed, r.code)
	switch r.code {
	case 0:
	case 1:
		if !strings.Contains(r.out, "disk") && !strings.Contains(r.out, "can't be") {
			x.t.Errorf("the error doesn't say that the disk is at fault: %s", r.out)
		}
	default:
		x.t.Errorf("exit code %d, want 0 or 1:\n%s", r.code, r.out)
	}
	if x.last().ID == before {
		x.must(0, "deploy")
	}
	x.judge(nil)
	if got := len(x.releases()); got < min(releases+1, 10) {
		x.t.Errorf("%d releases before, %d now", releases, got)
	}
}

// releases returns the numbers of the stack's releases.
func (k *stack) releases() []int {
	k.t.Helper()
	c := k.s.dialled()
	defer c.Close()
	list, err := c.Releases(k.t.Context(), k.name)
	if err != nil {
		k.t.Fatal(err)
	}
	var numbers []int
	for _, r := range list {
		numbers = append(numbers, r.Number)
	}
	return numbers
}

// smallDisk puts a small disk of its own under a folder.
func smallDisk(t *testing.T, folder, size string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c",
		`mkdir -p "$0" && chmod 700 "$0" && mount -t tmpfs -o mode=0700,size="$1" none "$0"`, folder,
		size).CombinedOutput(); err != nil {
		t.Fatalf("mount a small disk on %s: %v\n%s", folder, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", folder).Run() })
}

// fill fills the disk under a folder to its last byte, until the test calls the function that it returns.
func fill(t *testing.T, folder string) (empty func()) {
	t.Helper()
	path := folder + "/.filler"
	if err := exec.Command("sh", "-c", `cat /dev/zero >"$0"; test -s "$0"`, path).Run(); err != nil {
		t.Fatalf("fill %s: %v", folder, err)
	}
	return func() { _ = exec.Command("rm", "-f", path).Run() }
}

func TestAFullDiskIsReportedAndNothingIsLost(t *testing.T) {
	needDocker(t)
	for _, c := range []struct {
		folder, size string // below the data folder
		codes        string
	}{
		{"", "8m", "1"},
		{"proxy", "64k", "5"},
	} {
		t.Run("data/"+c.folder, func(t *testing.T) {
			s := idleServer(t, binary)
			smallDisk(t, s.data, "64m")
			if c.folder != "" {
				smallDisk(t, s.data+"/"+c.folder, c.size)
			}
			s.start()
			s.await()
			k := newTrio(t, s)
			k.must(0, "deploy")
			x := &torment{trioStack: k, begin: k.version, want: rhumb.PhaseConverged, serves: 1}
			l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20})
			empty := fill(t, s.data+"/"+c.folder)
			x.begin(x.v + 1)
			r := x.rhumb("deploy", "--wait-timeout", "3s")
			t.Logf("exit %d:\n%s", r.code, r.out)
			if fmt.Sprint(r.code) != c.codes || !strings.Contains(r.out, "full") && !strings.Contains(r.out, "no space") {
				t.Errorf("exit %d, want %s and a word about the full disk", r.code, c.codes)
			}
			k.must(0, "ps")
			k.must(0, "releases")
			s.kill()
			began := time.Now()
			s.start()
			time.Sleep(time.Second)
			t.Logf("a daemon that is started on the full disk says:\n%s", s.logTail(3))
			empty()
			s.kill()
			s.start()
			s.await()
			if r.code == 1 {
				k.must(0, "deploy")
			}
			x.judge(nil)
			t.Logf("all is well %.1f s later", time.Since(began).Seconds())
			if y := l.end(); y.failed > 0 {
				t.Errorf("meanwhile: %v", y)
			}
		})
	}
}
