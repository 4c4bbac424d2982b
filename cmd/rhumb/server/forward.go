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
	"rhumb/observe/forward"
)

// ForwardConfig is where kept lines are sent as well.
type ForwardConfig struct {
	URLs urls
	File string // with more URLs, one per line; "": none
}

// Flags adds the flags that the server and the process that keeps logs share.
func (c *ForwardConfig) Flags(fs *pflag.FlagSet) {
	fs.Var(&c.URLs, "forward", "also send all kept log lines to this `URL`; repeat it for more destinations")
	fs.StringVar(&c.File, "forward-file", c.File, "also send them to the URLs in this `FILE`, one per line")
}

// Locate makes the file's path absolute.
func (c *ForwardConfig) Locate() error {
	if c.File == "" {
		return nil
	}
	path, err := filepath.Abs(c.File)
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--forward-file %s: %w", c.File, err)
	}
	c.File = path
	return nil
}

// maxForwardFile is the largest file of URLs, in bytes.
const maxForwardFile = 1 << 20

// Destinations returns the URLs of the flags and then those of the file. Invalid: the file can't be read, or a URL
// can't be used.
func (c *ForwardConfig) Destinations() ([]string, error) {
	all := slices.Clone(c.URLs)
	if c.File != "" {
		b, err := atomicfile.Read(c.File, maxForwardFile)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "--forward-file can't be read: %w", err).
				WithHint("write the URLs into it, one per line, or leave the flag out")
		}
		n := 0
		for line := range strings.Lines(string(b)) {
			n++
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if err := forward.CheckURLs(line); err != nil {
				return nil, at(fmt.Sprintf("%s:%d", c.File, n), err)
			}
			all = append(all, line)
		}
	}
	return all, forward.CheckURLs(all...)
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

// Exposed reports whether all users can read the file, and so the passwords in it.
func (c *ForwardConfig) Exposed() bool {
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
