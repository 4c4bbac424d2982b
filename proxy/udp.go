package proxy

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/bans"
	"rhumb/proxy/internal/flow"
	"rhumb/proxy/internal/limits"
	"rhumb/proxy/internal/socket"
)

// udpListener is one UDP socket with the sessions of its clients. A client's datagrams all go to one endpoint, from a
// socket of their own, so that the answers find their way back.
type udpListener struct {
	conn *net.UDPConn

	mu        sync.Mutex
	sessions  map[udpClient]*udpSession
	unsettled list.List // those of sessions that aren't settled, the oldest first
	closed    bool      // no new sessions
	running   sync.WaitGroup
}

// udpClient is a client and the address of this host that it sends to.
type udpClient struct {
	addr  netip.AddrPort
	local string // the control message that makes answers leave from that address
}

// udpSession is settled once a second datagram has come in from its client, or has gone to it. A forged source address
// mostly has one datagram and one answer, and so has a client that asks once and is done.
type udpSession struct {
	client  udpClient
	member  *backend.Member
	conn    *net.UDPConn // to the endpoint
	places  limits.Places
	began   time.Time
	flow    *flow.Flow
	answers int           // only the session's own goroutine uses it
	counted atomic.Bool   // as served or failed
	waiting *list.Element // of unsettled, under the listener's lock; nil: settled
}

// settleTime is how long a session that isn't settled keeps its place. It also bounds the work that a flood of forged
// addresses causes.
const settleTime = time.Second

// answerTime is how long an answer to a datagram may be due. Clients of UDP ask again.
const answerTime = time.Second

func newUDPListener(c *net.UDPConn) *udpListener {
	return &udpListener{conn: c, sessions: map[udpClient]*udpSession{}}
}

// udpServer sends a listener's datagrams to endpoints.
type udpServer struct {
	*udpListener
	balancer *backend.Balancer
	limits   Limits
	bans     *bans.Book
	backend  func() string // the listener's, in the table that is served
}

// run reads until the socket is closed or has quit, then waits for the sessions' ends.
func (s *udpServer) run() {
	defer s.running.Wait()
	buf, oob := make([]byte, flow.MaxDatagram), make([]byte, 128)
	for {
		n, m, _, addr, err := s.conn.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		if _, banned := s.bans.Refuses(addr.Addr()); banned {
			continue
		}
		ses := s.session(udpClient{addr: addr, local: socket.LocalOf(oob[:m])})
		if ses != nil {
			ses.flow.Note(true, n)
			_, _ = ses.conn.Write(buf[:n]) // a datagram may get lost
		}
	}
}

// session returns the session of a client from which a datagram came. It begins one if there is none, and returns nil
// if there can be none now.
func (s *udpServer) session(c udpClient) *udpSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses := s.sessions[c]; ses != nil {
		s.settle(ses)
		return ses
	}
	if s.closed || !s.room() {
		return nil
	}
	ses := s.begin(c)
	if ses == nil {
		s.balancer.Sessions.Release()
	}
	return ses
}

// room takes a place for one more session, and reports whether there is one. If there is none, the oldest session that
// isn't settled makes room, if it has had settleTime. The caller holds mu.
func (s *udpServer) room() bool {
	for {
		if len(s.sessions) < s.limits.Sessions && s.balancer.Sessions.Take() {
			return true
		}
		front := s.unsettled.Front()
		if front == nil {
			return false
		}
		oldest := front.Value.(*udpSession)
		if time.Since(oldest.began) < settleTime {
			return false
		}
		s.drop(oldest)
	}
}

// begin begins a session, which has its place already. The caller holds mu.
func (s *udpServer) begin(c udpClient) *udpSession {
	m := s.balancer.Now(s.backend())
	if m == nil {
		return nil
	}
	conn, err := s.balancer.DialUDP(m, c.addr)
	if err != nil {
		m.NoteFailed()
		m.Done()
		return nil
	}
	ses := &udpSession{client: c, member: m, conn: conn, places: s.balancer.Sessions, began: time.Now(),
		flow: flow.New(nil)} // its client isn't held when it comes back, so that it may not be closed
	ses.flow.Due, ses.flow.Bytes = answerTime, m.Bytes()
	m.Flows().Add(ses.flow)
	ses.waiting = s.unsettled.PushBack(ses)
	s.sessions[c] = ses
	s.running.Go(func() { s.answer(ses) })
	return ses
}

// answer passes the endpoint's datagrams to the client until the session is idle for too long, closed, or refused.
func (s *udpServer) answer(ses *udpSession) {
	defer ses.member.Done()
	defer ses.member.Flows().Remove(ses.flow)
	defer s.forget(ses)
	r, err := flow.NewDatagramReader(ses.conn)
	if err != nil {
		return
	}
	idle := s.limits.SessionTime
	for {
		_ = ses.conn.SetReadDeadline(time.Now().Add(idle - ses.flow.Still())) // if it fails, so does Next
		b, err := r.Next()
		switch {
		case err == nil:
			s.toClient(ses, b)
			r.Done()
		case errors.Is(err, os.ErrDeadlineExceeded):
			if ses.flow.Still() >= idle {
				return
			}
		default:
			if errors.Is(err, unix.ECONNREFUSED) { // nothing listens there: the client's next datagram tries another
				s.balancer.Refused(ses.member, ses.client.addr, ses.conn)
				ses.noteFailed()
			}
			return
		}
	}
}

// noteServed counts the session as served, once: when it is answered, when it is settled, or at its end.
func (ses *udpSession) noteServed() {
	if !ses.counted.Swap(true) {
		ses.member.NoteServed(0)
	}
}

// noteFailed counts a session that was refused as failed, unless it was served before.
func (ses *udpSession) noteFailed() {
	if !ses.counted.Swap(true) {
		ses.member.NoteFailed()
	}
}

// toClient sends a session's client what its endpoint has answered.
func (s *udpServer) toClient(ses *udpSession, b []byte) {
	ses.flow.Note(false, len(b))
	ses.noteServed()
	_, _, _ = s.conn.WriteMsgUDPAddrPort(b, []byte(ses.client.local), ses.client.addr) // an answer may get lost
	if ses.answers++; ses.answers == 2 {
		s.mu.Lock()
		s.settle(ses)
		s.mu.Unlock()
	}
}

// settle is called for the second datagram of a session in one direction, and perhaps for later ones. The caller holds
// mu.
func (u *udpListener) settle(ses *udpSession) {
	if ses.waiting != nil {
		u.unsettled.Remove(ses.waiting)
		ses.waiting = nil
		ses.noteServed()
	}
}

func (u *udpListener) forget(ses *udpSession) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop(ses)
}

// drop ends a session, once. When it returns, the session's descriptor is free. The caller holds mu.
func (u *udpListener) drop(ses *udpSession) {
	if u.sessions[ses.client] != ses {
		return
	}
	delete(u.sessions, ses.client)
	u.settle(ses)
	_ = ses.conn.Close() // nothing was buffered
	ses.places.Release()
}

// keepOnly ends the sessions of endpoints for which keep returns false.
func (u *udpListener) keepOnly(keep func(*backend.Endpoint) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ses := range u.sessions {
		if !keep(ses.member.Endpoint) {
			u.drop(ses)
		}
	}
}

// quit stops reading: another process has the socket now. Sessions pass on the answers that are still to come, until
// they are idle.
func (u *udpListener) quit() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	_ = u.conn.SetReadDeadline(time.Unix(1, 0)) // it fails only if the socket is closed
}

// end stops reading and ends the sessions. The socket is closed by its owner.
func (u *udpListener) end() {
	u.quit()
	u.keepOnly(func(*backend.Endpoint) bool { return false })
}
