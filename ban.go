package rhumb

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"
)

// Bans says for what a service has clients banned, and for how long. The zero value bans no client.
type Bans struct {
	On      []BanRule     `json:",omitzero"`
	For     time.Duration `json:",omitzero"` // how long a client's first ban lasts
	Grow    float64       `json:",omitzero"` // each further ban of a client lasts this many times as long
	Max     time.Duration `json:",omitzero"` // no ban lasts longer
	Private bool          `json:",omitzero"` // clients in private networks may be banned too
}

// BanRule says for what a client is banned. A rule with Log is about lines of logs. All others are about requests: one
// must match all that is set.
type BanRule struct {
	Name    string        // unique in its service: "login", "rule 2"
	Status  []StatusRange `json:",omitzero"` // of the answer: any of these
	Paths   []string      `json:",omitzero"` // any of these patterns, in which * stands for any text
	Methods []string      `json:",omitzero"` // any of these
	Log     string        `json:",omitzero"` // the service of the stack whose lines are matched
	Match   string        `json:",omitzero"` // with Log: a regular expression with <client> in the place of the address
	Count   int           // so many matches
	In      time.Duration // within this time
}

// StatusRange is a range of HTTP statuses, inclusive.
type StatusRange struct{ From, To int }

// Length returns how long a client's ban lasts that was banned so many times before.
func (b Bans) Length(before int) time.Duration {
	most := cmp.Or(b.Max, longestBan)
	d := float64(b.For)
	for i := 0; i < before && b.Grow > 1 && d < float64(most); i++ {
		d *= b.Grow
	}
	if d > float64(most) {
		return most
	}
	return time.Duration(d)
}

// longestBan is how long a ban lasts at most if its rules don't say.
const longestBan = 10 * 365 * 24 * time.Hour

// ofLogs returns the rules about lines of logs.
func (b Bans) ofLogs() (of Bans) {
	for _, r := range b.On {
		if r.Log != "" {
			of.On = append(of.On, r)
		}
	}
	return of
}

// clone returns a copy that shares nothing with b.
func (b Bans) clone() Bans {
	b.On = cloneList(b.On)
	for i := range b.On {
		r := &b.On[i]
		r.Status, r.Paths, r.Methods = cloneList(r.Status), cloneList(r.Paths), cloneList(r.Methods)
	}
	return b
}

// Equal reports whether both ban the same. Nil and empty lists are equal.
func (b Bans) Equal(o Bans) bool {
	return b.For == o.For && b.Grow == o.Grow && b.Max == o.Max && b.Private == o.Private &&
		slices.EqualFunc(b.On, o.On, BanRule.Equal)
}

// Equal reports whether two rules are equal. Nil and empty lists are equal.
func (r BanRule) Equal(o BanRule) bool {
	return r.Name == o.Name && r.Log == o.Log && r.Match == o.Match && r.Count == o.Count && r.In == o.In &&
		slices.Equal(r.Status, o.Status) && slices.Equal(r.Paths, o.Paths) && slices.Equal(r.Methods, o.Methods)
}

// Ban keeps a client from everything that the proxy serves, until a time.
type Ban struct {
	Client    netip.Prefix // an IPv4 address, an IPv6 network of 64 bits, or a range that was banned by hand
	Reference string       // is shown to the client: "K7QW-3MZA"
	Reason    string       // "5 requests matched login within 10m"
	Stack     string       `json:",omitzero"` // whose rule it was
	Service   string       `json:",omitzero"`
	Rule      string       `json:",omitzero"`
	By        string       `json:",omitzero"` // who banned it: a user, or "crowdsec"; "": a rule
	Since     time.Time
	Until     time.Time `json:",omitzero"` // zero: until it is removed
	Times     int       `json:",omitzero"` // how many bans of the client these are, as far as is remembered
	Refused   uint64    `json:",omitzero"` // requests and connections that the proxy has refused since
}

// ParseClient reads an address or a range. Invalid: it is neither.
func ParseClient(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, Errorf(Invalid, "%q is neither an address nor a range", s).
			WithHint("write it as 203.0.113.7, 2001:db8::7 or 203.0.113.0/24")
	}
	return p.Masked(), nil
}

// ClientText returns a client as people write it: an address, or a range. ParseClient reads it.
func ClientText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Ended reports whether the ban is over.
func (b Ban) Ended(now time.Time) bool { return !b.Until.IsZero() && !now.Before(b.Until) }

// BanOrder asks for a ban.
type BanOrder struct {
	Client  netip.Prefix
	For     time.Duration `json:",omitzero"` // 0: until it is removed
	Reason  string        `json:",omitzero"`
	By      string        `json:",omitzero"` // the client's own claim, a note beside the user: Actor.By
	Private bool          `json:",omitzero"` // a private network is meant
}

// BanAnswer is what is known about an address.
type BanAnswer struct {
	Addr   netip.Addr
	Ban    *Ban       `json:",omitzero"` // nil: it isn't banned
	Spared string     `json:",omitzero"` // why it is never banned; "": it may be
	Past   int        `json:",omitzero"` // how many bans of it have ended, as far as is remembered
	Counts []BanCount `json:",omitzero"` // what has matched of late
}

// BanCount is how often a client has matched a rule.
type BanCount struct {
	Stack, Service, Rule string
	Matches              int // within the rule's time, as far as is remembered
	Count                int // so many lead to a ban
	In                   time.Duration
	Last                 time.Time
}

// BanStatus is how the bans of a proxy go.
type BanStatus struct {
	Active  int
	Refused uint64 // requests and connections that bans have refused, since the proxy started
	// NoKernel is why the kernel doesn't drop what banned clients send. "": it does.
	NoKernel string `json:",omitzero"`
	// CrowdSec is how the decisions of CrowdSec come in; "": none are asked for.
	CrowdSec string `json:",omitzero"`
}

// BanBook is the proxy's book of bans.
type BanBook interface {
	// Bans returns all bans that haven't ended, the latest first. Unavailable: the proxy doesn't answer.
	Bans(ctx context.Context) ([]Ban, error)
	// Ban bans a client in place of the ban that it may have, and returns once the ban is in force and on disk.
	// Invalid: the client is no address or range. Denied: it is never banned; the message says why. Unavailable: as
	// Bans, or the ban can't be kept.
	Ban(ctx context.Context, o BanOrder) (Ban, error)
	// Unban ends the bans of exactly this client and those inside its range, and returns them. NotFound: there are
	// none. Unavailable: as Ban.
	Unban(ctx context.Context, client netip.Prefix) ([]Ban, error)
	// WhyBanned returns what is known about an address. Unavailable: as Bans.
	WhyBanned(ctx context.Context, a netip.Addr) (BanAnswer, error)
}

// BanLedger is the part of the proxy's book that other processes of rhumb's use.
type BanLedger interface {
	// ReportMatches counts lines of logs that match rules. Matches of rules that the proxy doesn't know are ignored.
	// Unavailable: the proxy doesn't answer.
	ReportMatches(ctx context.Context, ms []BanMatch) error
	// Spare keeps an address from being banned for a day, because a user of rhumb's has it, and ends its ban.
	// Unavailable: as ReportMatches.
	Spare(ctx context.Context, a netip.Addr) error
	// BanNews returns what has happened after the news with this number, oldest first. It waits for news until ctx
	// ends, or for some seconds. Of many, only the latest are kept. Unavailable: as ReportMatches.
	BanNews(ctx context.Context, after uint64) ([]BanNote, error)
}

// BanMatch is a line of a log that matches a rule.
type BanMatch struct {
	Stack, Service, Rule string // whose rule it is; the line may be another service's
	Client               netip.Addr
	At                   time.Time // of the line
}

// BanNote is a ban that began, or ended before its time.
type BanNote struct {
	Number uint64 // grows; it starts again when a proxy starts without a predecessor
	Ended  bool   `json:",omitzero"`
	By     string `json:",omitzero"` // who ended it
	Ban    Ban
}
