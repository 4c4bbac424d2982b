package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strings"

	"golang.org/x/term"

	"rhumb"
)

// User is the person at the terminal, if the streams are one.
type User struct {
	In  io.Reader
	Out io.Writer // where questions are printed
}

// There reports whether both streams are terminals, so that a question can be answered.
func (u User) There() bool { return Is(u.In) && Is(u.Out) }

// Sure asks a question and reports whether the answer is yes. Without a terminal it reports true: the command line is
// the answer.
func (u User) Sure(ctx context.Context, question string) bool {
	if !u.There() {
		return true
	}
	fmt.Fprint(u.Out, question+" [y/N] ")
	line, err := u.line(ctx)
	line = strings.ToLower(line)
	return err == nil && (line == "y" || line == "yes")
}

// Confirm asks the user to type a word before something is deleted. It returns Invalid without a terminal, and
// Cancelled if the user types another word.
func (u User) Confirm(ctx context.Context, warning, word string) error {
	if !u.There() {
		return rhumb.Errorf(rhumb.Invalid, "confirmation needed, but stdin is not a terminal").WithHint("pass --yes")
	}
	fmt.Fprintf(u.Out, "%s\nType %s to continue: ", warning, word)
	line, err := u.line(ctx)
	if err == nil && line != word {
		err = rhumb.Errorf(rhumb.Cancelled, "not confirmed; nothing was removed")
	}
	return err
}

// line reads an answer, until ctx ends.
func (u User) line(ctx context.Context) (string, error) {
	answer := make(chan string, 1)
	go func() { // a read from a terminal can't be interrupted: it may last until the process ends
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

// Secret asks a question whose answer the terminal doesn't show.
func (u User) Secret(ctx context.Context, question string) (string, error) {
	in, ok := u.In.(*os.File)
	if !ok {
		return "", rhumb.Errorf(rhumb.Invalid, "the passphrase can't be asked for: stdin is not a terminal")
	}
	fd := int(in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", rhumb.Errorf(rhumb.Internal, "can't read the terminal's state: %w", err)
	}
	fmt.Fprint(u.Out, question)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // a read from a terminal can't be interrupted: it may last until the process ends
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case got := <-answers:
		fmt.Fprintln(u.Out)
		if got.err != nil {
			return "", rhumb.Errorf(rhumb.Invalid, "can't read the passphrase: %w", got.err)
		}
		return string(got.text), nil
	case <-ctx.Done():
		fmt.Fprintln(u.Out)
		if err := term.Restore(fd, state); err != nil { // otherwise the terminal would not show input any more
			return "", rhumb.Errorf(rhumb.Internal, "can't restore the terminal's state: %w", err)
		}
		return "", ctx.Err()
	}
}

// Open opens the file at path; "-" is the standard input. A file that can't be read is Invalid.
func (u User) Open(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(u.In), nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: there is no such file", path)
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: can't be read: %w", path, err)
	}
	return f, nil
}

// UserAtHost returns the user's own name and machine: "ada@laptop".
func UserAtHost() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
