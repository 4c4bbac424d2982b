package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// talking answers requests, and writes much.
const talking = `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    x-rhumb: {drain: 1s}
  flood:
    image: rhumb-test/app:1
    environment: {ADDR: none, COUNT: "2000", LENGTH: "500"}
    logging: {driver: json-file, options: {max-size: 1m, max-file: "2"}}
`

func TestLogsOnADiskThatIsTooSmallHarmNothing(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := idleServer(t, binary)
	kept := filepath.Join(s.data, "observe")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", kept, "tmpfs", 0, "size=700k"); err != nil {
		t.Fatal(err)
	}
	s.afterEnd = func() { _ = syscall.Unmount(kept, syscall.MNT_DETACH) }
	s.start()
	s.await()
	k := newStack(t, s, talking)
	k.env = []string{"V=1"}
	k.must(0, "deploy")
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 40})
	time.Sleep(3 * time.Second) // 3 MB of lines
	k.env = []string{"V=2"}
	k.must(0, "deploy")
	if y := l.end(); y.failed > 0 {
		t.Errorf("meanwhile: %v", y)
	}
	eventually(t, 30*time.Second, "the reason is logged", func() error {
		log, err := os.ReadFile(kept + ".log")
		if err != nil || !strings.Contains(string(log), "the disk is full") {
			return fmt.Errorf("the log of the process that keeps logs: %v\n%s", err, log)
		}
		return nil
	})
	if pids := s.processes(); len(pids) != 3 {
		t.Errorf("the server's processes are %v, want three", pids)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(kept, &st); err != nil || st.Bavail == 0 {
		t.Errorf("the disk is full to the last block: %v", err)
	}
}
