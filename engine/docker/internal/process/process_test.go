package process

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestAFamilyIsKilledIfItBelongsToTheContainerAndNothingElseIs(t *testing.T) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	own := strings.TrimSpace(string(b)) // stands for the container: it is where the child is
	c := exec.Command("sh", "-c", "(sleep 60 & echo born; wait) & wait")
	c.Env = append(os.Environ(), "MARK=word")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	pid := c.Process.Pid
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "born\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if !Marked(pid, "MARK=word") || Marked(pid, "MARK=wor") || Marked(os.Getpid(), "MARK=word") {
		t.Error("different marks match")
	}
	if n := Kill(pid, strings.Repeat("0", 64)); n != 0 {
		t.Errorf("%d of another container are killed", n)
	}
	if n := len(family(pid)); n != 3 {
		t.Errorf("it has a family of %d", n)
	}
	if n := Kill(pid, own); n < 3 {
		t.Errorf("%d are killed", n)
	}
	ended := make(chan error, 1)
	go func() {
		_, _ = io.Copy(io.Discard, out) // until all that have its output are gone
		ended <- c.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
}
