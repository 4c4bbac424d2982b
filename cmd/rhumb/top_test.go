package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both sides of a terminal with 30 rows of 100 columns.
func openTerminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = user.Close() })
	fd := int(user.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return user, program
}

func TestTopIsDrawnAgainUntilAKeyEndsIt(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	s := newStage()
	s.measured.err = nil
	defer serveAt(t, s, socket)()
	user, program := openTerminal(t)
	screen, before := &watched{changed: make(chan struct{}, 1)}, modes(t, program)
	go func() { _, _ = io.Copy(screen, user) }() // ends with the terminal
	exit := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		exit <- run(context.Background(), []string{"--host", "unix://" + socket, "top"}, program, program, &errs)
	}()
	screen.await(t, "\x1b[?1049h")
	screen.await(t, "rhumb top   all stacks   services by cpu")
	for _, step := range []struct{ key, words string }{
		{"m", "services by memory"}, {"s", "replicas by memory"}, {"s", "services by memory"}, {"r", "services by requests"},
		{"n", "services by name"}, {"x", "q quit"}, {"c", "services by cpu"},
	} {
		if _, err := user.WriteString(step.key); err != nil {
			t.Fatal(err)
		}
		screen.await(t, step.words)
	}
	if now := modes(t, program); now == before {
		t.Error("the terminal is not read key by key")
	}
	if _, err := user.WriteString("\x03"); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	if code := <-exit; code != 0 || errs.Len() > 0 {
		t.Errorf("it ends with %d, %s", code, &errs)
	}
	screen.await(t, "\x1b[?25h\x1b[?1049l")
	if now := modes(t, program); now != before {
		t.Errorf("afterwards the terminal has the modes %x, before %x", now, before)
	}
}

// modes returns the modes of a terminal's input.
func modes(t *testing.T, terminal *os.File) uint32 {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return m.Lflag
}
