package backend

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/flow"
)

// Endpoint is what outlives the tables of a rhumb.Endpoint: its replica's count, its failures and its idle connections.
type Endpoint struct {
	Addr    string
	replica *Replica

	failedUntil atomic.Int64 // Unix nanoseconds; until then others are preferred
	transports  atomic.Pointer[transports]
	links       links
	connecting  chan struct{} // has one place: the connection that is being made
}

func (e *Endpoint) failing(now time.Time) bool { return now.UnixNano() < e.failedUntil.Load() }

// Replica counts the connections and requests in flight of one replica, over all its ports and backends.
type Replica struct {
	ID string

	open       atomic.Int64
	flows      flow.Flows // those of them that may be quiet
	dismissing atomic.Bool
}

// busy counts what is in flight and not quiet.
func (r *Replica) busy() int {
	return max(0, int(r.open.Load())-r.flows.Quiet())
}

// BeginDismissing reports whether there is something to dismiss, and no Dismiss is running for it already. The caller
// then calls Dismiss.
func (r *Replica) BeginDismissing() bool {
	return r.open.Load() > 0 && r.dismissing.CompareAndSwap(false, true)
}

// Dismiss closes each flow as soon as it is quiet, for as long as leaving returns true. Its client comes back and is
// served by the replicas that stay, or waits for the next one. A client that is cut between two requests loses nothing.
// A client whose replica is stopped loses the request that it sends at that very moment.
func (r *Replica) Dismiss(ctx context.Context, leaving func() bool) {
	defer r.dismissing.Store(false)
	for leaving() && r.open.Load() > 0 { // a connection that is counted may become a flow yet
		r.flows.Dismiss()
		select {
		case <-time.After(flow.CheckEvery):
		case <-ctx.Done():
			return
		}
	}
}

// Member is an endpoint of a backend in one table. Pick counts a connection or request for it, which Done ends.
type Member struct {
	*Endpoint
	Spec    *rhumb.Endpoint // of the table; it doesn't change
	backend *counters
	release *releaseCounters
}

// Done ends what pick has counted. It is called once.
func (m *Member) Done() { m.replica.open.Add(-1) }

// ReplicaID returns the ID of the replica.
func (m *Member) ReplicaID() string { return m.replica.ID }

// Flows returns those of the replica.
func (m *Member) Flows() *flow.Flows { return &m.replica.flows }

// NoteAnswered counts a request as served, and how long its answer took.
func (m *Member) NoteAnswered(status int, took time.Duration) { m.release.answer(status, took) }

// NoteServed counts a connection as served, and how long that took; 0: that isn't known.
func (m *Member) NoteServed(took time.Duration) { m.release.serve(took) }

// NoteFailed counts a request or connection as failed. Of one that Reach tried, Reach does that after a DialError.
func (m *Member) NoteFailed() { m.release.failed.Add(1) }

// Bytes counts what the clients of the member's release send and are sent.
func (m *Member) Bytes() *flow.Bytes { return &m.release.bytes }

// Avoid prefers others to the endpoint for a while.
func (m *Member) Avoid(d time.Duration) { m.failedUntil.Store(time.Now().Add(d).UnixNano()) }

// NoteCut counts a connection or request that lost the endpoint while an answer may have been due.
func (m *Member) NoteCut() { m.backend.cut.Add(1) }

// Upgrade makes a flow of an upgraded connection to the member. The flow ends when the connection is closed. The proxy
// doesn't close it: a replica that stops says goodbye in the words of that protocol.
func (m *Member) Upgrade(c io.ReadWriteCloser) io.ReadWriteCloser {
	u := &upgraded{ReadWriteCloser: c, flows: m.Flows(), flow: flow.New(nil)}
	u.flow.Bytes = m.Bytes()
	u.flows.Add(u.flow)
	return u
}

// upgraded is an upgraded connection to a replica. It notes in its flow what moves.
type upgraded struct {
	io.ReadWriteCloser
	flows *flow.Flows
	flow  *flow.Flow
}

// Read reads what the replica sends.
func (u *upgraded) Read(b []byte) (int, error) {
	n, err := u.ReadWriteCloser.Read(b)
	if n > 0 {
		u.flow.Note(false, n)
	}
	return n, err
}

// Write writes what the client sends.
func (u *upgraded) Write(b []byte) (int, error) {
	if len(b) > 0 {
		u.flow.Note(true, len(b))
	}
	return u.ReadWriteCloser.Write(b)
}

// Close closes the connection and ends its flow.
func (u *upgraded) Close() error {
	u.flows.Remove(u.flow)
	return u.ReadWriteCloser.Close()
}
