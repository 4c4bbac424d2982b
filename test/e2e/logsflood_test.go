package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// quietly answers requests in one service and writes a few numbered lines in the other.
const quietly = `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
  count:
    image: rhumb-test/app:1
    environment: {ADDR: none, COUNT: "20", LENGTH: "200", RELEASE: "${V}"}
    logging: {driver: json-file, options: {max-size: 1m, max-file: "5"}}
    deploy: {update_config: {monitor: 0s}}
`

// flooding writes 100 MB a second, or as much as the engine takes.
const flooding = `
services:
  flood:
    image: rhumb-test/app:1
    environment: {ADDR: none, COUNT: "100000", LENGTH: "1000", RELEASE: "0"}
    logging: {driver: json-file, options: {max-size: 20m, max-file: "3"}}
    deploy: {update_config: {monitor: 0s}}
x-rhumb:
  logs: {size: 64MB}
`

func TestAFloodOfOneStackLeavesOthersWhole(t *testing.T) {
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, quietly)
	k.env = []string{"V=0"}
	k.must(0, "deploy")
	span := time.Duration(longer(5, 30)) * time.Second
	t.Logf("latency alone: %v", k.latency(span))
	f := newStack(t, s, flooding)
	f.must(0, "deploy")
	time.Sleep(2 * time.Second)
	c := &countStack{stack: k}
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20})
	t.Logf("latency in the flood: %v", k.latency(span))
	t.Logf("the process that keeps logs has %d MB", residentKB(t, c.s.observer())/1024)
	observer := c.s.observer()
	if err := syscall.Kill(observer, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Logf("latency in the flood while nothing is kept: %v", k.latency(span))
	if err := syscall.Kill(observer, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if y := l.end(); y.failed > 0 {
		t.Errorf("meanwhile: %v", y)
	}
	f.must(0, "down")
	k.must(0, "down")
	c.whole(c.kept("count"), 1)
	if size := folderSize(t, filepath.Join(s.data, "observe", "logs")); size > 200<<20 {
		t.Errorf("%d MB are kept, although the flood has 64 MB", size>>20)
	}
}

// latency returns the median, the 99th percentile and the maximum of requests that follow each other for a while.
func (k *stack) latency(span time.Duration) [3]time.Duration {
	k.t.Helper()
	var took []time.Duration
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		begun := time.Now()
		if code, _, err := fetch(k.url("/")); err != nil || code != 200 {
			k.t.Errorf("%d, %v", code, err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	n := len(took)
	return [3]time.Duration{took[n/2], took[n*99/100], took[n-1]}
}

// folderSize returns how many bytes the files of a folder take on the disk.
func folderSize(t *testing.T, folder string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil // the store has merged it with others
		}
		if err == nil && !d.IsDir() {
			size += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(fmt.Errorf("%s: %w", folder, err))
	}
	return size
}
