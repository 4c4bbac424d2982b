// Package crowdsec asks the local API of CrowdSec for its decisions, as one of its bouncers. The decisions that are
// there stay in force while it doesn't answer, until their time is over.
package crowdsec

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/internal/pause"
	"rhumb/proxy/internal/bans"
)

// Options configures a Bouncer.
type Options struct {
	URL     string // of the local API: "http://127.0.0.1:8080/"
	KeyFile string // has the bouncer's key
	Version string // of the binary
	Log     *slog.Logger
}

// Book takes decisions.
type Book interface {
	Decide(system string, made []bans.Decision, gone []netip.Prefix, all bool) (spared int)
}

// Bouncer brings decisions into a book.
type Bouncer struct {
	options Options
	base    string
	book    Book
	http    *http.Client
	state   atomic.Pointer[string]
	whole   bool // the book has all decisions
	paused  atomic.Bool
}

// System is the name of CrowdSec in bans.
const System = "crowdsec"

const (
	askEvery  = 10 * time.Second
	askTime   = 30 * time.Second
	maxAnswer = 256 << 20 // some 700,000 decisions
	maxKey    = 1 << 10
)

// New returns a Bouncer that asks nothing until Run. Invalid: the URL can't be used.
func New(o Options, book Book) (*Bouncer, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return nil, rhumb.Errorf(rhumb.Invalid, "--crowdsec: %q is not the URL of a local API", o.URL).
			WithHint("write http://127.0.0.1:8080")
	}
	if o.KeyFile == "" {
		return nil, rhumb.Errorf(rhumb.Invalid, "--crowdsec needs a key").
			WithHint("run cscli bouncers add rhumb, write the key to a file, and pass it with --crowdsec-key-file")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Bouncer{options: o, base: strings.TrimSuffix(u.String(), "/"), book: book, http: &http.Client{
		Timeout: askTime,
		// the key isn't for others
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	b.note("not asked yet")
	return b, nil
}

// Status returns how the decisions come in, for people.
func (b *Bouncer) Status() string { return *b.state.Load() }

func (b *Bouncer) note(state string) { b.state.Store(&state) }

// Pause has Run ask nothing any more, because another process does with the same key, until it is called with false.
func (b *Bouncer) Pause(pause bool) { b.paused.Store(pause) }

// Run asks every ten seconds for what has changed, until ctx ends. After a failure it asks for everything.
func (b *Bouncer) Run(ctx context.Context) error {
	failing := false
	for {
		if b.paused.Load() {
			b.whole = false
			if !pause.For(ctx, askEvery) {
				return nil
			}
			continue
		}
		made, gone, err := b.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if !failing {
				b.options.Log.Warn("decisions of CrowdSec not read, those in force stay", "err", err)
			}
			failing, b.whole = true, false
			b.note("not read: " + err.Error())
		case failing:
			b.options.Log.Info("decisions of CrowdSec read again", "decisions", made)
			failing = false
		case made+gone > 0:
			b.options.Log.Debug("decisions of CrowdSec", "made", made, "gone", gone)
		}
		if !pause.For(ctx, askEvery) {
			return nil
		}
	}
}

// answer is an answer of the local API.
type answer struct {
	New     []decision `json:"new"`
	Deleted []decision `json:"deleted"`
}

// decision is a decision in an answer.
type decision struct {
	Duration string `json:"duration"` // what is left of it
	Scope    string `json:"scope"`
	Type     string `json:"type"`
	Value    string `json:"value"`
	Scenario string `json:"scenario"`
	Origin   string `json:"origin"`
}

// turn asks once.
func (b *Bouncer) turn(ctx context.Context) (made, gone int, err error) {
	a, err := b.ask(ctx, !b.whole)
	if err != nil {
		return 0, 0, err
	}
	now := time.Now()
	var begin []bans.Decision
	var end []netip.Prefix
	other := 0
	for _, d := range a.Deleted {
		if client, ok := d.client(); ok {
			end = append(end, client)
		}
	}
	for _, d := range a.New {
		client, ok := d.client()
		left, err := time.ParseDuration(d.Duration)
		if !ok || err != nil {
			other++
			continue
		}
		begin = append(begin, bans.Decision{Client: client, Until: now.Add(left), Reason: reason(d)})
	}
	spared := b.book.Decide(System, begin, end, !b.whole)
	b.whole = true
	state := "decisions are read"
	if other > 0 {
		state += fmt.Sprintf("; %d are of a kind that rhumb doesn't enforce", other)
	}
	if spared > 0 {
		state += fmt.Sprintf("; %d are about clients that are never banned", spared)
	}
	b.note(state)
	return len(begin), len(end), nil
}

// client returns the client that is banned; false for other kinds of decisions, such as captchas and countries.
func (d *decision) client() (netip.Prefix, bool) {
	if d.Type != "ban" {
		return netip.Prefix{}, false
	}
	switch strings.ToLower(d.Scope) {
	case "ip":
		a, err := netip.ParseAddr(d.Value)
		if err != nil {
			return netip.Prefix{}, false
		}
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	case "range":
		p, err := netip.ParsePrefix(d.Value)
		return p.Masked(), err == nil
	}
	return netip.Prefix{}, false
}

const maxReason = 200

func reason(d decision) string {
	text := d.Scenario
	if d.Origin != "" {
		text += " (" + d.Origin + ")"
	}
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

// ask asks for the decisions that have come and gone since the last time, or for all.
func (b *Bouncer) ask(ctx context.Context, all bool) (answer, error) {
	key, err := b.key()
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		fmt.Sprintf("%s/v1/decisions/stream?startup=%t", b.base, all), nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Api-Key", key)
	req.Header.Set("User-Agent", "rhumb/"+b.options.Version)
	resp, err := b.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusUnauthorized:
		return answer{}, rhumb.Errorf(rhumb.Denied, "it refuses the key in %s", b.options.KeyFile).
			WithHint("cscli bouncers list shows the bouncers that it knows")
	default:
		return answer{}, fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("its answer can't be parsed: %w", err)
	}
	return a, nil
}

// key reads the key each time, so that a new one needs no restart.
func (b *Bouncer) key() (string, error) {
	f, err := os.Open(b.options.KeyFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		return "", rhumb.Errorf(rhumb.Invalid, "%s has no key", b.options.KeyFile)
	}
	return key, nil
}
