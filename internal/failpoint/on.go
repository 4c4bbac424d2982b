//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// armed is the point at which this process dies, as last read, and how often it has been passed since.
var armed struct {
	sync.Mutex
	text   string
	passes int
}

// Here records that the point named by the words is passed, and kills the process if the point is armed.
func Here(words ...string) {
	dir := os.Getenv(Folder)
	if dir == "" {
		return
	}
	name := strings.TrimSpace(strings.Join(words, " "))
	armed.Lock()
	defer armed.Unlock()
	note(dir, name)
	text, err := os.ReadFile(filepath.Join(dir, Kill))
	if err != nil || string(text) != armed.text {
		armed.text, armed.passes = string(text), 0
	}
	point, count, found := strings.Cut(armed.text, ":")
	if !found || point != name {
		return
	}
	armed.passes++
	if n, err := strconv.Atoi(count); err != nil || armed.passes < n {
		return
	}
	if os.Remove(filepath.Join(dir, Kill)) == nil { // only one process dies, and only once
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// note appends a name to the list of passed points.
func note(dir, name string) {
	f, err := os.OpenFile(filepath.Join(dir, Passed), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err) // this build is only for tests
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, name); err != nil {
		panic(err)
	}
}
