package chain

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/proxy/internal/page"
	"rhumb/proxy/internal/table"
)

// Inspect looks at a request for attacks. An error means that it wasn't looked at.
type Inspect func(ctx context.Context, i *rhumb.Inspection) (rhumb.Finding, error)

// Ruling is what became of a request that isn't simply forwarded, or that is an attack.
type Ruling struct {
	Word    string // Detected, Blocked or Unseen
	Finding rhumb.Finding
}

// The words of rulings, as they are in access logs.
const (
	Detected = "detected" // an attack that is forwarded
	Blocked  = "blocked"  // an attack that is refused
	Unseen   = "unseen"   // nothing could look at the request
)

// tooLarge is the finding of a body of which only the first part is looked at, on a route that refuses these.
var tooLarge = rhumb.Finding{Attack: true, Rules: []rhumb.WAFMatch{{Text: "The body is too large to be looked at"}}}

// Looks reports whether requests are looked at, apart from those to paths that are left out.
func (c *Chain) Looks() bool { return c != nil && c.waf != nil }

// Look returns how a request to a path, which is decoded, is looked at: how many bytes of its body are, and which rules
// don't count. It returns false if the request isn't looked at.
func (c *Chain) Look(path string) (body int64, without []int, ok bool) {
	if !c.Looks() {
		return 0, nil, false
	}
	for _, e := range c.waf.Exclude {
		if e.Path != "" && !table.Under(e.Path, path) {
			continue
		}
		if len(e.Rules) == 0 {
			return 0, nil, false
		}
		without = append(without, e.Rules...)
	}
	return c.waf.Body, without, true
}

// Inspect has a request looked at, which Look has said to do. It returns what is to be logged; nil: nothing. And it
// returns the answer that the client gets instead; nil: the request is forwarded.
func (c *Chain) Inspect(ctx context.Context, i *rhumb.Inspection, stack string) (*Ruling, *Answer) {
	i.Paranoia, i.Score = c.waf.Paranoia, c.waf.Score
	f, err := c.inspect(ctx, i)
	switch {
	case err != nil:
		return c.Unseen(stack)
	case !f.Attack && i.Partial && c.waf.Refuse:
		f = tooLarge
	case !f.Attack:
		return nil, nil
	}
	if c.waf.Mode == rhumb.WAFDetect {
		return &Ruling{Detected, f}, nil
	}
	return &Ruling{Blocked, f}, &Answer{page: c.Page(page.Attack())}
}

// Unseen returns what becomes of a request that can't be looked at.
func (c *Chain) Unseen(stack string) (*Ruling, *Answer) {
	if c.waf.Mode == rhumb.WAFDetect {
		return &Ruling{Word: Unseen}, nil
	}
	return &Ruling{Word: Unseen}, &Answer{page: c.Page(page.Unseen(stack))}
}

// Fields returns the fields of a header for an Inspection.
func Fields(h http.Header) (fields []rhumb.HeaderField) {
	for name, values := range h {
		for _, v := range values {
			fields = append(fields, rhumb.HeaderField{Name: name, Value: v})
		}
	}
	return fields
}

const maxLogged = 20 // rules of a finding

// Rules returns the rules of a finding for a log: "942100 942190".
func (v *Ruling) Rules() string {
	var b []byte
	for i, m := range v.Finding.Rules[:min(len(v.Finding.Rules), maxLogged)] {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(m.ID), 10)
	}
	return string(b)
}

// Why returns the rules of a finding in words: "SQL Injection Attack (ARGS:id); ...".
func (v *Ruling) Why() string {
	var b strings.Builder
	for i, m := range v.Finding.Rules[:min(len(v.Finding.Rules), maxLogged)] {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(m.Text)
		if m.Where != "" {
			b.WriteString(" (" + m.Where + ")")
		}
	}
	return b.String()
}
