package rhumb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// RouteOptions is what the proxy does with the requests of a route besides forwarding them. The zero value forwards
// them as they are. The options of a release are never changed once it is made.
type RouteOptions struct {
	Redirect    *Redirect     `json:",omitzero"` // nil: requests are forwarded
	Canonical   string        `json:",omitzero"` // the host to which requests for others are redirected; "": none
	Maintenance *RouteFile    `json:",omitzero"` // the page that answers each request, with 503; nil: none
	Auth        *BasicAuth    `json:",omitzero"` // nil: all may come in
	Strip       bool          `json:",omitzero"` // replicas get paths without the route's
	Request     HeaderChanges `json:",omitzero"` // of what replicas get
	Response    HeaderChanges `json:",omitzero"` // of what replicas answer
	Pages       []ErrorPage   `json:",omitzero"` // by status, in place of the proxy's own
	Replace     bool          `json:",omitzero"` // pages also replace what replicas answer with these statuses
	Compress    bool          `json:",omitzero"` // answers of compressible types, for clients that accept it
	Buffer      Buffer        `json:",omitzero"`
	Timeouts    Timeouts      `json:",omitzero"`
	WAF         *WAF          `json:",omitzero"` // nil: requests aren't looked at
}

// Redirect is where the requests of a route are sent.
type Redirect struct {
	To     string // "https://shop.example.com/new", "//shop.example.com" (with the scheme of the request), or "/new"
	Status int    // 301, 302, 307 or 308
	// Exact sends all to To itself. Otherwise what follows the route's path is added to To, and so is the query.
	Exact bool `json:",omitzero"`
}

// BasicAuth asks clients for a name and a password (RFC 7617).
type BasicAuth struct {
	Realm string    // what browsers show
	Users RouteFile // lines of name:hash, where the hash is one of bcrypt
}

// RouteFile names a file of the stack that is for the proxy: a page, or users with the hashes of their passwords.
type RouteFile struct {
	Kind FileKind
	Name string
	Hash string `json:",omitzero"` // the File's; set when the release is made
}

// ErrorPage is a page for a status.
type ErrorPage struct {
	Status int // 404; 4 and 5 are all of 4xx and 5xx that have none of their own
	File   RouteFile
}

// Name returns the status as it is written in a Compose file: "404", "5xx".
func (p ErrorPage) Name() string {
	if p.Status < 10 {
		return strconv.Itoa(p.Status) + "xx"
	}
	return strconv.Itoa(p.Status)
}

// HeaderChanges change a header: first Remove, then Set, then Add. Fields that frame a message or are between
// neighbours can't be changed.
type HeaderChanges struct {
	Remove []string      `json:",omitzero"`
	Set    []HeaderField `json:",omitzero"` // in place of all fields of that name
	Add    []HeaderField `json:",omitzero"` // besides
}

// HeaderField is a field of a header.
type HeaderField struct{ Name, Value string }

// Buffer is how many bytes of a body the proxy takes in before it passes it on. Larger bodies pass as they come.
type Buffer struct {
	Request  int64 `json:",omitzero"` // of a known length, before a replica is chosen; 0: only small ones
	Response int64 `json:",omitzero"` // before the client gets the first byte; 0: none
}

// Timeouts limit how long replicas may take. 0 is no limit.
type Timeouts struct {
	Header time.Duration `json:",omitzero"` // until the answer's header, from when the request was sent
	Idle   time.Duration `json:",omitzero"` // between two parts of the answer
	Whole  time.Duration `json:",omitzero"` // until the answer's end, from when the request came
}

// ID identifies the options by their content. Equal options have equal IDs; nil and empty lists are equal.
func (o *RouteOptions) ID() string {
	b, err := json.Marshal(o.Clone()) // in which empty lists are nil
	if err != nil {
		panic(err) // texts and numbers can always be written
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Files returns the files that the options name, to read or to complete.
func (o *RouteOptions) Files() []*RouteFile {
	if o == nil {
		return nil
	}
	var files []*RouteFile
	if o.Maintenance != nil {
		files = append(files, o.Maintenance)
	}
	if o.Auth != nil {
		files = append(files, &o.Auth.Users)
	}
	for i := range o.Pages {
		files = append(files, &o.Pages[i].File)
	}
	return files
}

// Clone returns a copy that shares nothing with o; nil has none.
func (o *RouteOptions) Clone() *RouteOptions {
	if o == nil {
		return nil
	}
	c := *o
	c.Redirect, c.Maintenance, c.Auth = cloned(o.Redirect), cloned(o.Maintenance), cloned(o.Auth)
	c.Request, c.Response = o.Request.clone(), o.Response.clone()
	c.Pages = cloneList(o.Pages)
	c.WAF = o.WAF.Clone()
	return &c
}

func (h HeaderChanges) clone() HeaderChanges {
	return HeaderChanges{cloneList(h.Remove), cloneList(h.Set), cloneList(h.Add)}
}

func cloned[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// TableOptions are options in a table, by the ID that its rules and listeners name.
type TableOptions struct {
	ID string
	RouteOptions
}

// OptionsOf returns options with their ID; nil has the ID "", and isn't kept in tables.
func OptionsOf(o *RouteOptions) TableOptions {
	if o == nil {
		return TableOptions{}
	}
	return TableOptions{o.ID(), *o.Clone()}
}

// OptionSets returns the options of a service's routes, and those of its ports.
func (s *Service) OptionSets() []*RouteOptions {
	var all []*RouteOptions
	for _, r := range s.Routes {
		if r.Options != nil {
			all = append(all, r.Options)
		}
	}
	if s.HTTP != nil {
		all = append(all, s.HTTP)
	}
	return all
}

// RouteFiles returns the files of a stack that its routes name. One that several name is there several times.
func (s *Stack) RouteFiles() []*File {
	var files []*File
	for i := range s.Services {
		for _, o := range s.Services[i].OptionSets() {
			for _, f := range o.Files() {
				if file := s.File(f.Kind, f.Name); file != nil {
					files = append(files, file)
				}
			}
		}
	}
	return files
}

func (t TableOptions) equal(o TableOptions) bool {
	return t.ID == o.ID && t.RouteOptions.ID() == o.RouteOptions.ID()
}
