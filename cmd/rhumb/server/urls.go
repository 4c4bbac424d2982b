package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/internal/atomicfile"
)

// URLs are the values of a flag that is repeated, and the lines of a file that a second flag names.
type URLs struct {
	Flag  string // "forward"; the file's is "forward-file"
	Check func(urls ...string) error
	List  urls
	File  string // with more URLs, one per line; "": none
}

// flags adds the two flags. to ends the sentence of their help: "send all log lines to".
func (c *URLs) flags(fs *pflag.FlagSet, to string) {
	fs.Var(&c.List, c.Flag, to+" this `URL`; repeat it for more")
	fs.StringVar(&c.File, c.Flag+"-file", c.File, to+" the URLs in this `FILE`, one per line")
}

// locate makes the file's path absolute.
func (c *URLs) locate() error {
	if c.File == "" {
		return nil
	}
	path, err := filepath.Abs(c.File)
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--%s-file %s: %w", c.Flag, c.File, err)
	}
	c.File = path
	return nil
}

// maxURLFile is the largest file of URLs, in bytes.
const maxURLFile = 1 << 20

// All returns the URLs of the flag and then those of the file. Invalid: the file can't be read, or a URL can't be used.
func (c *URLs) All() ([]string, error) {
	all := slices.Clone(c.List)
	if c.File != "" {
		b, err := atomicfile.Read(c.File, maxURLFile)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "--%s-file can't be read: %w", c.Flag, err).
				WithHint("write the URLs into it, one per line, or leave the flag out")
		}
		n := 0
		for line := range strings.Lines(string(b)) {
			n++
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if err := c.Check(line); err != nil {
				return nil, at(fmt.Sprintf("%s:%d", c.File, n), err)
			}
			all = append(all, line)
		}
	}
	return all, c.Check(all...)
}

// at returns an error with its place in a file.
func at(place string, err error) error {
	var e *rhumb.Error
	if !errors.As(err, &e) {
		return err
	}
	placed := *e
	placed.At = place
	return &placed
}

// exposed reports whether all users can read the file, and so the passwords in it.
func (c *URLs) exposed() bool {
	st, err := os.Stat(c.File) // "" doesn't exist
	return err == nil && st.Mode()&0o004 != 0
}

// urls is the value of a flag that is repeated, or of a variable with URLs between which there are spaces. A URL has no
// space, but may have commas.
type urls []string

// Set implements pflag.Value.
func (u *urls) Set(text string) error {
	*u = append(*u, strings.Fields(text)...)
	return nil
}

// String implements pflag.Value.
func (u *urls) String() string { return strings.Join(*u, " ") }

// Type implements pflag.Value.
func (u *urls) Type() string { return "urls" }
