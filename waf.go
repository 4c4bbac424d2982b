package rhumb

import (
	"net/netip"
	"slices"
)

// WAF has the requests of a route looked at for attacks, by the OWASP Core Rule Set, before they are forwarded.
type WAF struct {
	Mode     WAFMode
	Paranoia int            // 1 to 4: how much is suspicious
	Score    int            // from which a request counts as an attack, at least 1
	Body     int64          // bytes of a body that are looked at; 0: none
	Refuse   bool           `json:",omitzero"` // larger bodies count as attacks; otherwise their rest isn't looked at
	Exclude  []WAFExclusion `json:",omitzero"`
}

// WAFMode is what becomes of an attack.
type WAFMode string

const (
	// WAFDetect forwards attacks, and logs them. While nothing can look at requests, they are forwarded.
	WAFDetect WAFMode = "detect"
	// WAFBlock refuses attacks, and logs them. While nothing can look at requests, they are refused.
	WAFBlock WAFMode = "block"
)

// Defaults and bounds of a WAF.
const (
	WAFScore   = 5         // one rule for a certain attack has as much
	WAFBody    = 32 << 10  // bytes; each KB takes some milliseconds of a core
	MaxWAFBody = 128 << 10 // bytes
	WAFMemory  = 128 << 20 // bytes that the process takes which looks at requests, about; one serves all routes
)

// WAFExclusion are rules that don't count.
type WAFExclusion struct {
	Path  string `json:",omitzero"` // a prefix that ends at a slash or the path's end; "": all
	Rules []int  `json:",omitzero"` // empty: all; requests to the path aren't looked at
}

// Clone returns a copy that shares nothing with w; nil has none.
func (w *WAF) Clone() *WAF {
	if w == nil {
		return nil
	}
	c := *w
	c.Exclude = cloneList(w.Exclude)
	for i := range c.Exclude {
		c.Exclude[i].Rules = cloneList(c.Exclude[i].Rules)
	}
	return &c
}

// Inspection is a request that is looked at. Its texts are those of the client, to the byte.
type Inspection struct {
	Paranoia, Score int
	Without         []int // rules that don't count

	Client  netip.Addr
	Method  string
	Target  string // as in the first line
	Proto   string // "HTTP/1.1", "HTTP/2.0"
	Host    string
	Fields  []HeaderField // without Host
	Body    []byte        // what is looked at of it
	Partial bool          // the body has more
}

// Finding is what was found in a request.
type Finding struct {
	Attack bool
	Score  int
	Rules  []WAFMatch // by ID; those that matched, also if that makes no attack
}

// WAFMatch is a rule that matched.
type WAFMatch struct {
	ID    int
	Text  string // what the rule finds: "SQL Injection Attack Detected via libinjection"
	Where string // "ARGS:q"; values are left out, because they may be secrets
}

// HasWAF reports whether requests of a table are looked at.
func (t Table) HasWAF() bool {
	return slices.ContainsFunc(t.Options, func(o TableOptions) bool { return o.WAF != nil })
}

// HasWAF reports whether requests to the service are looked at.
func (s *Service) HasWAF() bool {
	return slices.ContainsFunc(s.OptionSets(), func(o *RouteOptions) bool { return o.WAF != nil })
}
