package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/term"

	"rhumb"
)

// User is who sits at a terminal, if anybody does.
type User struct {
	In  io.Reader
	Out io.Writer // where questions are seen
}

// There tells whether anybody is.
func (u User) There() bool { return Is(u.In) && Is(u.Out) }

// Sure asks a question; where nobody is there to answer, what was written on the command line counts.
func (u User) Sure(ctx context.Context, question string) bool {
	if !u.There() {
		return true
	}
	fmt.Fprint(u.Out, question+" [y/N] ")
	line, err := u.line(ctx)
	line = strings.ToLower(line)
	return err == nil && (line == "y" || line == "yes")
}

// Confirm has a word typed before something is deleted.
func (u User) Confirm(ctx context.Context, warning, word string) error {
	if !u.There() {
		return rhumb.Errorf(rhumb.Invalid, "nobody is there to confirm it").WithHint("say --yes")
	}
	fmt.Fprintf(u.Out, "%s\nType %s to go on: ", warning, word)
	line, err := u.line(ctx)
	if err == nil && line != word {
		err = rhumb.Errorf(rhumb.Cancelled, "not confirmed; nothing was removed")
	}
	return err
}

// line waits for an answer, until ctx ends.
func (u User) line(ctx context.Context) (string, error) {
	answer := make(chan string, 1)
	go func() { // nothing can interrupt a read from a terminal: it ends with the process at the latest
		line, _ := bufio.NewReader(u.In).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case line := <-answer:
		return line, nil
	case <-ctx.Done():
		fmt.Fprintln(u.Out)
		return "", ctx.Err()
	}
}

// Secret asks for words that the terminal doesn't show.
func (u User) Secret(ctx context.Context, question string) (string, error) {
	in, ok := u.In.(*os.File)
	if !ok {
		return "", rhumb.Errorf(rhumb.Invalid, "there is no terminal to ask on")
	}
	fd := int(in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", rhumb.Errorf(rhumb.Internal, "the terminal can't be asked: %w", err)
	}
	fmt.Fprint(u.Out, question)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // nothing can interrupt a read from a terminal: it ends with the process at the latest
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case got := <-answers:
		fmt.Fprintln(u.Out)
		if got.err != nil {
			return "", rhumb.Errorf(rhumb.Invalid, "the passphrase can't be read: %w", got.err)
		}
		return string(got.text), nil
	case <-ctx.Done():
		fmt.Fprintln(u.Out)
		if err := term.Restore(fd, state); err != nil { // or it would go on showing nothing
			return "", rhumb.Errorf(rhumb.Internal, "the terminal can't be put back: %w", err)
		}
		return "", ctx.Err()
	}
}

// Open opens a file that the user names; "-" is what the user types or pipes in.
func (u User) Open(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(u.In), nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: there is no such file", path)
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s can't be read: %w", path, err)
	}
	return f, nil
}
