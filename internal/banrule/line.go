package banrule

import (
	"net/netip"
	"regexp"
	"strings"

	"rhumb"
)

// Line finds clients in lines of logs.
type Line struct {
	re *regexp.Regexp
	at int // the group of the address
}

const (
	placeholder = "<client>"
	maxMatch    = 1000 // bytes of an expression
	maxLine     = 16 << 10
)

// address matches what may be an address, in brackets or not. Whether it is one is found out by parsing it.
const address = `\[?(?P<rhumbclient>[0-9A-Fa-f:.]{2,45})\]?`

// CompileLine returns what finds clients by a regular expression (RE2) with <client> in it, once. Invalid: it is none.
func CompileLine(match string) (*Line, error) {
	switch {
	case len(match) > maxMatch:
		return nil, rhumb.Errorf(rhumb.Invalid, "the expression is longer than %d bytes", maxMatch)
	case strings.Count(match, placeholder) != 1:
		return nil, rhumb.Errorf(rhumb.Invalid, "the expression has %d times <client>, not once",
			strings.Count(match, placeholder)).WithHint("write <client> where the line has the client's address")
	}
	re, err := regexp.Compile(strings.Replace(match, placeholder, address, 1))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "%q is not a regular expression: %v", match, err).
			WithHint("the syntax is RE2's: https://github.com/google/re2/wiki/Syntax")
	}
	return &Line{re: re, at: re.SubexpIndex("rhumbclient")}, nil
}

// Find returns the client in a line; false if the line doesn't match, or has no address there. Only the first 16 kB of
// a line are searched.
func (l *Line) Find(text string) (client netip.Addr, ok bool) {
	text = text[:min(len(text), maxLine)]
	at := l.re.FindStringSubmatchIndex(text)
	if at == nil || at[2*l.at] < 0 {
		return netip.Addr{}, false
	}
	word := text[at[2*l.at]:at[2*l.at+1]]
	before, _, _ := strings.Cut(word, ":")                                       // "192.0.2.1:4711"
	for _, w := range [...]string{word, strings.TrimRight(word, ".:"), before} { // "from 192.0.2.1."
		if client, err := netip.ParseAddr(w); err == nil {
			return client.Unmap(), true
		}
	}
	return netip.Addr{}, false
}
