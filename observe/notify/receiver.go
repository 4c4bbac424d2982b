package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/pause"
	"rhumb/observe"
)

const (
	maxQueue    = 50               // messages that wait for one receiver
	maxAge      = 24 * time.Hour   // an older message is of no use any more
	firstPause  = 2 * time.Second  // after a failed attempt; then it doubles
	longPause   = 5 * time.Minute  // the longest
	longestWait = 10 * time.Minute // the longest that a receiver may ask for
	lastTime    = 5 * time.Second  // for what is waiting when the process ends
)

// receiver is one receiver with its queue.
type receiver struct {
	endpoint
	host string
	log  *slog.Logger
	send func(ctx context.Context, r request) error
	wake chan struct{} // there is a message

	mu    sync.Mutex
	queue []Message
	state rhumb.AlertReceiver
}

// request is a message as a receiver wants it. A mail has only a text and a subject.
type request struct {
	method, url, contentType string
	body                     []byte
	subject                  string // of a mail
	at                       time.Time
	incident                 string
}

func newReceiver(e endpoint, host string, log *slog.Logger) *receiver {
	r := &receiver{endpoint: e, host: host, log: log.With("receiver", e.name), wake: make(chan struct{}, 1),
		state: rhumb.AlertReceiver{URL: e.name}}
	r.send = e.post()
	if e.kind == "mail" {
		r.send = e.deliver
	}
	return r
}

// takes reports whether the receiver gets messages, and not what is current.
func (r *receiver) takes() bool { return r.kind != "alertmanager" && r.kind != "deadman" }

// offer puts a message into the queue.
func (r *receiver) offer(m Message) {
	r.mu.Lock()
	if len(r.queue) == maxQueue {
		r.queue = r.queue[1:]
		r.log.Error("message about alerts lost, too many are waiting", "most", maxQueue)
	}
	r.queue = append(r.queue, m)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// first returns the message that has been waiting for longest.
func (r *receiver) first() (Message, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 && time.Since(r.queue[0].At) > maxAge {
		r.log.Error("message about alerts lost, it is too old", "incident", r.queue[0].Incident)
		r.queue = r.queue[1:]
	}
	if len(r.queue) == 0 {
		return Message{}, false
	}
	return r.queue[0], true
}

// done removes a message from the queue, if a full queue hasn't lost it.
func (r *receiver) done(m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) > 0 && r.queue[0].Incident == m.Incident && r.queue[0].At.Equal(m.At) {
		r.queue = r.queue[1:]
	}
}

// run sends the messages of the queue until ctx ends.
func (r *receiver) run(ctx context.Context) {
	wait := firstPause
	for {
		m, ok := r.first()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			continue
		}
		if ctx.Err() != nil {
			r.last(ctx)
			return
		}
		err := r.try(ctx, r.render(m))
		var refused *refusal
		switch {
		case ctx.Err() != nil: // it was interrupted
		case err == nil || errors.As(err, &refused) && refused.final:
			r.done(m)
			wait = firstPause
		default:
			after := wait
			if refused != nil {
				after = max(wait, min(refused.after, longestWait))
			}
			pause.For(ctx, after+rand.N(after/4))
			wait = min(2*wait, longPause)
		}
	}
}

// last sends what is waiting once more, now that the process ends.
func (r *receiver) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
	defer cancel()
	for {
		m, ok := r.first()
		if !ok || r.try(ctx, r.render(m)) != nil {
			return
		}
		r.done(m)
	}
}

// try sends a request and records how it went.
func (r *receiver) try(ctx context.Context, req request) error {
	limited, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	err := r.send(limited, req)
	if err != nil && ctx.Err() != nil {
		return err // the process ends: that is not the receiver's fault
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.state.Sent, r.state.LastError, r.state.ErrorAt = time.Now(), "", time.Time{}
		return nil
	}
	text := observe.OneLine(r.scrub(err.Error()), maxError)
	if text != r.state.LastError {
		r.log.Warn("message about alerts not sent", "err", text)
	}
	r.state.LastError, r.state.ErrorAt = text, time.Now()
	return err
}

// maxError is the longest error of a receiver, in runes.
const maxError = 300

func (r *receiver) status() rhumb.AlertReceiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// refusal is an answer of a receiver that isn't a success.
type refusal struct {
	text  string
	final bool          // trying again can't help
	after time.Duration // for how long the receiver wants to be left alone
}

func (r *refusal) Error() string { return r.text }
