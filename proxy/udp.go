package proxy

import (
	"container/list"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/socket"
)

// udpListener is one UDP socket with the sessions of its clients: a client's datagrams all go to one endpoint, from
// a socket of their own, so that the answers find their way back.
type udpListener struct {
	conn *net.UDPConn

	mu        sync.Mutex
	sessions  map[udpFlow]*udpSession
	unsettled list.List // those of sessions that aren't settled, the oldest first
	closed    bool      // no new sessions
	running   sync.WaitGroup
}

// udpFlow is a client and the address of this host that it speaks to.
type udpFlow struct {
	client netip.AddrPort
	local  string // the control message that makes answers leave from that address
}

// udpSession is settled once a second datagram has come in from its client, or has gone to it: a source address that
// was made up mostly has one datagram and one answer, and so has a client that asks once and is done.
type udpSession struct {
	flow    udpFlow
	lease   lease
	up      *net.UDPConn
	places  slots
	began   time.Time
	talk    *flow
	answers int           // only the session's own goroutine uses it
	waiting *list.Element // of unsettled, under the listener's lock; nil: settled
}

// settleTime is how long a session that isn't settled keeps its place. It is also what bounds the work that a flood of
// made-up addresses causes.
const settleTime = time.Second

// answerTime is how long an answer to a datagram may be due: who asks over UDP asks again.
const answerTime = time.Second

func newUDPListener(c *net.UDPConn) *udpListener {
	return &udpListener{conn: c, sessions: map[udpFlow]*udpSession{}}
}

// udpServer gives a listener's datagrams to endpoints.
type udpServer struct {
	*udpListener
	balancer *balancer
	backend  func() string // the listener's, in the table that is served
	log      *slog.Logger
}

// run reads until the socket is closed or told to stop, then waits for the sessions' ends.
func (s *udpServer) run() {
	defer s.running.Wait()
	buf, oob := make([]byte, maxDatagram), make([]byte, 128)
	for {
		n, m, _, client, err := s.conn.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		ses := s.session(udpFlow{client: client, local: socket.LocalOf(oob[:m])})
		if ses != nil {
			ses.talk.note(true)
			_, _ = ses.up.Write(buf[:n]) // a datagram may get lost
		}
	}
}

// session returns the session of a flow from which a datagram came. It begins one if there is none, and returns nil if
// there can be none now.
func (s *udpServer) session(f udpFlow) *udpSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses := s.sessions[f]; ses != nil {
		s.settle(ses)
		return ses
	}
	if s.closed || !s.room() {
		return nil
	}
	ses := s.begin(f)
	if ses == nil {
		s.balancer.sessions.release()
	}
	return ses
}

// room takes a place for one more session, and reports whether there is one. If there is none, the oldest session that
// isn't settled gives up its own, if it has had settleTime. The caller holds mu.
func (s *udpServer) room() bool {
	for {
		if len(s.sessions) < s.balancer.limits.Sessions && s.balancer.sessions.take() {
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
func (s *udpServer) begin(f udpFlow) *udpSession {
	l, ok := s.balancer.now(s.backend())
	if !ok {
		return nil
	}
	up, err := net.Dial("udp", l.addr)
	if err != nil {
		l.release.errors.Add(1)
		l.drop()
		return nil
	}
	l.release.served.Add(1)
	ses := &udpSession{flow: f, lease: l, up: up.(*net.UDPConn), places: s.balancer.sessions, began: time.Now(), talk: newFlow(nil)}
	ses.talk.due = answerTime
	l.replica.flows.add(ses.talk)
	ses.waiting = s.unsettled.PushBack(ses)
	s.sessions[f] = ses
	s.running.Go(func() { s.answer(ses) })
	return ses
}

// answer passes the endpoint's datagrams to the client until the session is idle for too long, closed, or refused.
func (s *udpServer) answer(ses *udpSession) {
	defer ses.lease.drop()
	defer ses.lease.replica.flows.remove(ses.talk)
	defer s.forget(ses)
	r, err := newBurstReader(ses.up, datagramBuffers)
	if err != nil {
		return
	}
	idle := s.balancer.limits.SessionTime
	for {
		ses.up.SetReadDeadline(time.Unix(0, ses.talk.last.Load()).Add(idle))
		b, err := r.next()
		switch {
		case err == nil:
			s.toClient(ses, b)
			r.done()
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Since(time.Unix(0, ses.talk.last.Load())) >= idle {
				return
			}
		default:
			if errors.Is(err, unix.ECONNREFUSED) { // nobody listens there: the client's next datagram tries another
				ses.lease.release.errors.Add(1)
				ses.lease.failedUntil.Store(time.Now().Add(s.balancer.limits.FailTime).UnixNano())
			}
			return
		}
	}
}

// toClient sends a session's client what its endpoint has answered.
func (s *udpServer) toClient(ses *udpSession, b []byte) {
	ses.talk.note(false)
	_, _, _ = s.conn.WriteMsgUDPAddrPort(b, []byte(ses.flow.local), ses.flow.client)
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
	}
}

func (u *udpListener) forget(ses *udpSession) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop(ses)
}

// drop ends a session, once. When it returns, the session's descriptor is free. The caller holds mu.
func (u *udpListener) drop(ses *udpSession) {
	if u.sessions[ses.flow] != ses {
		return
	}
	delete(u.sessions, ses.flow)
	u.settle(ses)
	ses.up.Close()
	ses.places.release()
}

// keepOnly ends the sessions of endpoints that keep says no to.
func (u *udpListener) keepOnly(keep func(*target) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ses := range u.sessions {
		if !keep(ses.lease.target) {
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
	u.conn.SetReadDeadline(time.Unix(1, 0))
}

// end stops reading and ends the sessions. The socket is closed by its owner.
func (u *udpListener) end() {
	u.quit()
	u.keepOnly(func(*target) bool { return false })
}

// now gives an endpoint without waiting for one: a datagram that finds none is lost, as datagrams are.
func (b *balancer) now(name string) (lease, bool) {
	for {
		s := b.served.load()
		be := s.backends[name]
		if be == nil {
			return lease{}, false
		}
		l, ok := be.pick(nil)
		if !ok {
			be.counters.unserved.Add(1)
			return l, false
		}
		if b.served.load() == s {
			return l, true
		}
		l.drop()
	}
}
