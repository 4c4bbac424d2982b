package control

import (
	"context"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rhumb"
)

// maxValue is how long a stored value may be, in bytes. Swarm has the same limit for secrets.
const maxValue = 500 << 10

// maxName is the longest name of a value, in bytes.
const maxName = 255

// checkName returns an Invalid error for a name that a Compose file and a list on a terminal can't both show as it is.
func checkName(name string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case name == "":
		return rhumb.Errorf(rhumb.Invalid, "the value has no name")
	case len(name) > maxName:
		return rhumb.Errorf(rhumb.Invalid, "the value's name is too long: it has %d bytes", len(name)).
			WithHint("names have at most %d", maxName)
	case name == "." || name == ".." || strings.TrimSpace(name) != name || !utf8.ValidString(name),
		strings.ContainsFunc(name, odd):
		return rhumb.Errorf(rhumb.Invalid, "%q can't be a value's name", name).
			WithHint("use letters, digits, and what stands between them: db/password, shop_token")
	}
	return nil
}

// SetValue stores a value that external secrets and configs refer to.
func (c values) SetValue(ctx context.Context, name string, content io.Reader) error {
	if err := checkName(name); err != nil {
		return err
	}
	v, err := io.ReadAll(io.LimitReader(content, maxValue+1))
	if err != nil {
		return err
	}
	if len(v) > maxValue {
		return rhumb.Errorf(rhumb.Invalid, "%q: a value has at most %d bytes", name, maxValue)
	}
	return c.Store.SetValue(ctx, name, v)
}

// RemoveValue removes a value; NotFound if there is none. Releases that used it keep their copy.
func (c values) RemoveValue(ctx context.Context, name string) error {
	names, err := c.Store.Values(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return rhumb.Errorf(rhumb.NotFound, "there is no value %q", name).WithHint("rhumb secret ls lists them")
	}
	return c.Store.RemoveValue(ctx, name)
}

// Values lists the names of the values, sorted.
func (c values) Values(ctx context.Context) ([]string, error) { return c.Store.Values(ctx) }
