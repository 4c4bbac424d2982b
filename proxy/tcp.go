package proxy

import (
	"context"
	"net/netip"
	"time"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/bans"
	"rhumb/proxy/internal/flow"
	"rhumb/proxy/internal/inbound"
)

// tcpServer serves raw TCP connections. They may be idle for as long as they like, as those of a pool are. But when the
// last place is taken, the connection that has been still for the longest makes room.
type tcpServer struct {
	served   *served
	balancer *backend.Balancer
	limits   Limits
	bans     *bans.Book
	flows    flow.Flows
}

// serve connects a client to an endpoint of the backend. It returns when both directions have ended, or when ctx cuts
// the connection, and closes c.
func (s *tcpServer) serve(ctx context.Context, c *inbound.Conn, backendName string) error {
	defer c.Close()
	client := clientOf(c)
	if _, banned := s.bans.Refuses(client); banned {
		return nil
	}
	s.bans.Note(backendName, bans.Request{Client: client})
	conn, member, err := s.reach(ctx, c, backendName)
	if err != nil {
		return err
	}
	defer member.Done()
	end := func() {
		_ = c.TCPConn.Close() // everything that may be passed on was passed on
		_ = conn.Close()
	}
	defer end()
	cut := context.AfterFunc(ctx, end)
	defer cut()
	f := flow.New(end, c.TCPConn, conn.TCPConn)
	f.Bound, f.Bytes, f.Client = c.Bound, member.Bytes(), client
	for _, flows := range []*flow.Flows{&s.flows, member.Flows()} {
		flows.Add(f)
		defer flows.Remove(f)
	}
	switch flow.Join(c.TCPConn, conn.TCPConn, f, s.limits.HalfTime) {
	case flow.ByReset:
		member.NoteCut()
	case flow.ByEnd: // which is how a replica ends that stops; a replica that stays may end as it likes
		if !s.served.load().Stays(member.ReplicaID()) {
			member.NoteCut()
		}
	}
	return nil
}

// reach connects a client to a member of the backend. The caller ends both.
func (s *tcpServer) reach(ctx context.Context, c *inbound.Conn, backendName string) (conn *backend.Conn,
	member *backend.Member, err error) {
	var caller backend.Caller
	caller.Client, caller.Called = inbound.CallerOf(c)
	like := s.preference(clientOf(c), backendName)
	err = s.balancer.ReachLike(ctx, backendName, like, func(m *backend.Member) (err error) {
		began := time.Now()
		if conn, err = s.balancer.DialFor(ctx, m, caller); err != nil {
			return err
		}
		member = m
		m.NoteServed(time.Since(began))
		return nil
	})
	return conn, member, err
}

// clientOf returns the address of the client at the other end of a connection.
func clientOf(c *inbound.Conn) netip.Addr {
	client, _ := inbound.CallerOf(c) // an address that isn't one is invalid, and never banned
	return client.Addr().Unmap().WithZone("")
}

// preference has a client stay with a slot, by its address, if the clients of the backend do.
func (s *tcpServer) preference(client netip.Addr, backendName string) (p backend.Preference) {
	if s.served.load().Sticky(backendName) {
		p.Client = client
	}
	return p
}
