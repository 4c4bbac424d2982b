package certs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"

	"github.com/mholt/acmez/v3/acme"
)

// Times are how long the keeper waits. Zero fields take their values from DefaultTimes.
type Times struct {
	Retry  time.Duration // after the first failure; each further one waits three times as long
	Most   time.Duration // the longest wait
	Order  time.Duration // how long one order may take
	AtOnce int           // orders under way at a time
}

// DefaultTimes allow a host five tries in the first hour, as many as Let's Encrypt allows.
func DefaultTimes() Times {
	return Times{Retry: time.Minute, Most: 12 * time.Hour, Order: 3 * time.Minute, AtOnce: 4}
}

func (t Times) withDefaults() Times {
	d := DefaultTimes()
	for _, p := range [][2]*time.Duration{{&t.Retry, &d.Retry}, {&t.Most, &d.Most}, {&t.Order, &d.Order}} {
		if *p[0] == 0 {
			*p[0] = *p[1]
		}
	}
	if t.AtOnce == 0 {
		t.AtOnce = d.AtOnce
	}
	return t
}

// trial is what is remembered of failures, also across restarts. The zero value is none.
type trial struct {
	Tries int       `json:",omitzero"` // failures in a row
	Next  time.Time `json:",omitzero"` // not to be tried before
	At    time.Time `json:",omitzero"` // the last failure
	Error string    `json:",omitzero"`
}

// failed returns the trial after one more failure. The wait is up to a fifth shorter or longer, so that hosts that
// failed together aren't tried again together.
func (t trial) failed(now time.Time, err error, times Times) trial {
	wait := times.Retry
	for range t.Tries {
		wait = min(3*wait, times.Most)
	}
	wait = min(wait, times.Most)
	wait += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(wait))
	return trial{Tries: t.Tries + 1, Next: now.Add(wait), At: now, Error: reason(err)}
}

// renewAt is when a certificate is due: when a third of its life is left, and a random bit later, so that certificates
// that were obtained together aren't renewed together.
func renewAt(notBefore, notAfter time.Time, chance float64) time.Time {
	life := notAfter.Sub(notBefore)
	// certificates end at the end of their last second
	return notAfter.Add(time.Second - life/3 + time.Duration(chance*float64(life)/30))
}

// blame says what a failure is about.
type blame int

const (
	ofAuthority blame = iota // it can't be reached, is overloaded, doesn't know us: every host would meet the same
	ofHost                   // the authority's word about this one host
	ofRate                   // a limit of the authority, for this host or for all: it doesn't say which
)

func blameFor(err error) blame {
	var p acme.Problem
	if !errors.As(err, &p) {
		return ofAuthority
	}
	switch p.Type {
	case acme.ProblemTypeRateLimited:
		return ofRate
	case acme.ProblemTypeServerInternal, acme.ProblemTypeBadNonce, acme.ProblemTypeAccountDoesNotExist,
		acme.ProblemTypeUserActionRequired,
		acme.ProblemTypeExternalAccountRequired, acme.ProblemTypeInvalidContact, acme.ProblemTypeUnsupportedContact:
		return ofAuthority
	}
	switch {
	case p.Status == 429:
		return ofRate
	case p.Status >= 500:
		return ofAuthority
	}
	return ofHost
}

// maxReason is how much of an error is kept.
const maxReason = 500

// reason returns an error, which may be an authority's, as one line for a terminal.
func reason(err error) string {
	text := err.Error()
	var p acme.Problem
	if errors.As(err, &p) && p.Detail != "" {
		text = p.Detail
		for _, s := range p.Subproblems {
			text += "; " + s.Detail
		}
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) ||
			unicode.IsControl(r)
	}), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

// trials keeps what failed across restarts.
type trials struct {
	storage *storage
	times   Times
	log     *slog.Logger
}

// store keeps a trial across restarts.
func (m *trials) store(ctx context.Context, key string, t trial) {
	var err error
	if t == (trial{}) {
		err = m.storage.Delete(ctx, key)
	} else {
		var b []byte
		if b, err = json.Marshal(t); err == nil {
			err = m.storage.Store(ctx, key, b)
		}
	}
	if err != nil {
		m.log.Error("failed attempt can't be recorded", "key", key, "err", err)
	}
}

// load returns the stored trial; the zero one if it can't be read.
func (m *trials) load(ctx context.Context, key string) trial {
	var t trial
	if b, err := m.storage.Load(ctx, key); err == nil {
		_ = json.Unmarshal(b, &t)
	}
	t.Next = earlier(t.Next, time.Now().Add(m.times.Most*6/5)) // the clock may have been wrong
	return t
}
