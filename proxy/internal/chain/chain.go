// Package chain applies the options of routes: redirects, canonical hosts, authentication, pages, changed headers and
// paths, compression. It knows neither sockets nor replicas, so that both of the proxy's HTTP servers use it.
package chain

import (
	"log/slog"
	"strings"

	"rhumb"
	"rhumb/internal/htpasswd"
	"rhumb/internal/routeoption"
	"rhumb/proxy/internal/page"
)

// Chain is the options of a route, ready to be applied. It is immutable but for what it remembers of passwords. A nil
// Chain does nothing.
type Chain struct {
	Request  Edits // of what the replica gets
	Timeouts rhumb.Timeouts
	Buffer   rhumb.Buffer

	id        string
	broken    bool // nothing is served: a part that protects the route is missing
	canonical string
	redirect  *redirect
	closed    *content // the page of a maintenance
	gate      *gate
	strip     bool
	response  Edits
	pages     map[int]*content
	replace   bool
	compress  bool
	waf       *rhumb.WAF // nil: requests aren't looked at
	inspect   Inspect
}

// content is a page.
type content struct {
	kind string
	body []byte
}

// Room is what the chains of all tables share.
type Room struct {
	Files   func(hash string) ([]byte, error) // nil: there are none
	Log     *slog.Logger
	checks  *checks
	inspect Inspect
}

// NewRoom returns the room of a proxy.
func NewRoom(files func(hash string) ([]byte, error), inspect Inspect, log *slog.Logger) *Room {
	return &Room{Files: files, Log: log, checks: newChecks(), inspect: inspect}
}

// Set has the chains of a table, by the ID of their options.
type Set map[string]*Chain

// Of returns the chain of options; nil for "". Options that aren't in the set serve nothing.
func (s Set) Of(id string) *Chain {
	if id == "" {
		return nil
	}
	if c := s[id]; c != nil {
		return c
	}
	return &Chain{id: id, broken: true}
}

// Compile returns the chains of a table. Those that an earlier set has are kept, with what they remember. It reads
// files: call it without a lock.
func (r *Room) Compile(t rhumb.Table, before Set) Set {
	if len(t.Options) == 0 {
		return nil
	}
	s := make(Set, len(t.Options))
	for i := range t.Options {
		o := &t.Options[i]
		if c := before[o.ID]; c != nil && !c.broken {
			s[o.ID] = c
			continue
		}
		s[o.ID] = r.compile(o.ID, &o.RouteOptions)
	}
	return s
}

func (r *Room) compile(id string, o *rhumb.RouteOptions) *Chain {
	c := &Chain{id: id, canonical: o.Canonical, strip: o.Strip, replace: o.Replace, compress: o.Compress,
		Timeouts: o.Timeouts, Buffer: o.Buffer, Request: editsOf(o.Request), response: editsOf(o.Response),
		waf: o.WAF.Clone(), inspect: r.inspect}
	var err error
	if c.redirect, err = redirectOf(o.Redirect); err != nil {
		r.broke(c, err)
	}
	if o.Auth != nil {
		c.Request.also("authorization", "x-forwarded-user")
		c.auth(r, o.Auth)
	}
	if o.Strip {
		c.Request.also("x-forwarded-prefix")
	}
	if o.Maintenance != nil {
		c.closed = r.content(*o.Maintenance)
		if c.closed == nil {
			c.closed = &content{} // the proxy's own page
		}
	}
	for _, p := range o.Pages {
		if it := r.content(p.File); it != nil {
			if c.pages == nil {
				c.pages = map[int]*content{}
			}
			c.pages[p.Status] = it
		}
	}
	return c
}

// broke notes that a chain can't be served.
func (r *Room) broke(c *Chain, err error) {
	c.broken = true
	r.Log.Error("options of a route can't be applied: its requests are refused", "options", c.id, "err", err)
}

func (c *Chain) auth(r *Room, a *rhumb.BasicAuth) {
	b, err := r.file(a.Users.Hash)
	if err != nil {
		r.broke(c, err)
		return
	}
	users, err := htpasswd.Parse(b)
	if err != nil {
		r.broke(c, err)
		return
	}
	c.gate = newGate(users, a.Realm, r.checks)
}

func (r *Room) file(hash string) ([]byte, error) {
	if r.Files == nil {
		return nil, rhumb.Errorf(rhumb.NotFound, "there are no files of routes")
	}
	return r.Files(hash)
}

// content returns a page; nil if it can't be read. The proxy's own page is then served.
func (r *Room) content(f rhumb.RouteFile) *content {
	b, err := r.file(f.Hash)
	if err == nil && len(b) > routeoption.MaxPage {
		err = rhumb.Errorf(rhumb.Invalid, "page %s is larger than %d KB", f.Name, routeoption.MaxPage>>10)
	}
	if err != nil {
		r.Log.Error("page of a route can't be read", "page", f.Name, "err", err)
		return nil
	}
	return &content{kindOf(f.Name), b}
}

// kindOf returns the type of a page by its name.
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	case strings.HasSuffix(name, ".txt"):
		return "text/plain; charset=utf-8"
	}
	return "text/html; charset=utf-8"
}

// Page returns the page to answer with in place of one of the proxy's own.
func (c *Chain) Page(p page.Page) page.Page {
	if c == nil {
		return p
	}
	if it := c.pageOf(p.Status()); it != nil {
		return p.With(it.kind, it.body)
	}
	return p
}

func (c *Chain) pageOf(status int) *content {
	if it := c.pages[status]; it != nil {
		return it
	}
	return c.pages[status/100]
}

// Replacement returns the page to send in place of a replica's answer of that status; nil: the answer stays.
func (c *Chain) Replacement(status int) (kind string, body []byte) {
	if c == nil || !c.replace || status < 400 {
		return "", nil
	}
	if it := c.pageOf(status); it != nil {
		return it.kind, it.body
	}
	return "", nil
}
