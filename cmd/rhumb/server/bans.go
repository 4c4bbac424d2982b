package server

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rhumb"
	"rhumb/control"
	"rhumb/httpapi/wire"
	"rhumb/internal/pause"
	"rhumb/internal/together"
	"rhumb/proxy"
)

// banDesk is the daemon's part in bans: it announces them, and has those who use rhumb spared.
type banDesk struct {
	book proxy.Book
	news *banNews
	*sparing
}

func newBanDesk(book proxy.Book, c *control.Control, log *slog.Logger) *banDesk {
	return &banDesk{book, &banNews{book, c.Announce, c.Events, log}, newSparing(book, log)}
}

// run does both until ctx ends.
func (d *banDesk) run(ctx context.Context) error { return together.Run(ctx, d.news.run, d.sparing.run) }

// banNews has bans announced as events. It is careful with their number: the store keeps some thousand events of all
// kinds, and an attack may bring as many bans.
type banNews struct {
	book     rhumb.BanLedger
	announce func(context.Context, rhumb.Event)
	events   func(context.Context, rhumb.EventFilter) iter.Seq2[rhumb.Event, error]
	log      *slog.Logger
}

const (
	newsPause  = time.Second      // between two looks at the news
	newsRetry  = 5 * time.Second  // after the proxy has not answered
	newsCrowd  = 30 * time.Second // after more bans than are announced one by one
	newsSingly = 5                // bans of a stack that are announced one by one
	newsBack   = 24 * time.Hour   // how far back the last announced ban is looked for
)

// run announces bans until ctx ends.
func (n *banNews) run(ctx context.Context) error {
	after, failing := n.last(ctx), false
	for ctx.Err() == nil {
		notes, err := n.book.BanNews(ctx, after)
		wait := newsPause
		switch {
		case err != nil && ctx.Err() == nil:
			if !failing {
				n.log.Debug("news of bans not read", "err", err)
			}
			failing, wait = true, newsRetry
		case len(notes) > 0:
			failing, after = false, notes[len(notes)-1].Number
			if n.tell(ctx, notes) {
				wait = newsCrowd
			}
		}
		pause.For(ctx, wait)
	}
	return nil
}

// last returns the number of the last note that was announced.
func (n *banNews) last(ctx context.Context) (number uint64) {
	for e, err := range n.events(ctx, rhumb.EventFilter{Since: time.Now().Add(-newsBack)}) {
		if err != nil {
			return number
		}
		if e.Kind == rhumb.EventBan {
			number = max(number, uint64(e.At.UnixMicro()))
		}
	}
	return number
}

// tell announces notes, and reports whether there are too many to announce each.
func (n *banNews) tell(ctx context.Context, notes []rhumb.BanNote) (many bool) {
	told, more := map[string]int{}, map[string]int{}
	var stacks []string // of more, in order
	for _, note := range notes {
		stack := note.Ban.Stack
		if told[stack]++; told[stack] <= newsSingly {
			n.announce(ctx, eventOf(note))
			continue
		}
		if more[stack]++; more[stack] == 1 {
			stacks = append(stacks, stack)
		}
	}
	for _, stack := range stacks {
		n.announce(ctx, rhumb.Event{Kind: rhumb.EventBan, Stack: stack, At: timeOf(notes[len(notes)-1]),
			Text: fmt.Sprintf("%d more clients were banned; rhumb bans lists them", more[stack])})
	}
	return len(stacks) > 0
}

func timeOf(note rhumb.BanNote) time.Time { return time.UnixMicro(int64(note.Number)) }

func eventOf(note rhumb.BanNote) rhumb.Event {
	b := note.Ban
	text := fmt.Sprintf("%s banned %s: %s (%s)", rhumb.ClientText(b.Client), lengthText(b), b.Reason, b.Reference)
	if note.Ended {
		text = fmt.Sprintf("the ban of %s ended early (%s)", rhumb.ClientText(b.Client), b.Reference)
	}
	return rhumb.Event{Kind: rhumb.EventBan, At: timeOf(note), Stack: b.Stack, Service: b.Service, By: note.By, Text: text}
}

func lengthText(b rhumb.Ban) string {
	if b.Until.IsZero() {
		return "until it is removed"
	}
	return "for " + rhumb.Span(b.Until.Sub(b.Since))
}

// sparing has bans spare the addresses from which rhumb is used over SSH, as the clients say. Those who reach the API
// may end bans anyway.
type sparing struct {
	book rhumb.BanLedger
	log  *slog.Logger

	mu    sync.Mutex
	known map[netip.Addr]time.Time // when the proxy learned it last
	fresh chan netip.Addr
}

const (
	sparedAgain = 10 * time.Minute // after which the proxy learns it again
	sparedTime  = 5 * time.Second  // within which the proxy takes an address
	maxSpared   = 1000
)

func newSparing(book rhumb.BanLedger, log *slog.Logger) *sparing {
	return &sparing{book: book, log: log, known: map[netip.Addr]time.Time{}, fresh: make(chan netip.Addr, 16)}
}

// handler notes where requests to h come from. It doesn't wait.
func (s *sparing) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := r.Header.Get(wire.HeaderFrom); text != "" {
			if a, err := netip.ParseAddr(text); err == nil && s.due(a) {
				select {
				case s.fresh <- a:
				default: // the next request says it again
				}
			}
		}
		h.ServeHTTP(w, r)
	})
}

// due reports whether the proxy must learn an address.
func (s *sparing) due(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.known[a]) < sparedAgain {
		return false
	}
	if len(s.known) >= maxSpared {
		clear(s.known)
	}
	s.known[a] = time.Now()
	return true
}

// run passes addresses on to the proxy, until ctx ends.
func (s *sparing) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-s.fresh:
			limited, cancel := context.WithTimeout(ctx, sparedTime)
			if err := s.book.Spare(limited, a); err != nil && ctx.Err() == nil {
				s.log.Warn("address of a user not spared by bans", "address", a, "err", err)
				s.forget(a)
			}
			cancel()
		}
	}
}

func (s *sparing) forget(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, a)
}
