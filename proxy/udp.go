package proxy

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/socket"
)

// udpListener is one UDP socket with the sessions of its clients: a client's datagrams all go to one endpoint, from
// a socket of their own, so that the answers find their way back.
type udpListener struct {
	conn *net.UDPConn

	mu       sync.Mutex
	sessions map[udpFlow]*udpSession
	closed   bool // no new sessions
	running  sync.WaitGroup
}

// udpFlow is a client and the address of this host that it speaks to.
type udpFlow struct {
	client netip.AddrPort
	local  string // the control message that makes answers leave from that address
}

type udpSession struct {
	flow  udpFlow
	lease lease
	up    *net.UDPConn
	last  atomic.Int64 // Unix nanoseconds of the last datagram, either way
}

func newUDPListener(c *net.UDPConn) *udpListener {
	return &udpListener{conn: c, sessions: map[udpFlow]*udpSession{}}
}

// maxDatagram is the most that UDP carries.
const maxDatagram = 64 << 10

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
			ses.last.Store(time.Now().UnixNano())
			_, _ = ses.up.Write(buf[:n]) // a datagram may get lost
		}
	}
}

// session gives the flow's session, a new one if need be; nil if there can be none now.
func (s *udpServer) session(f udpFlow) *udpSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses := s.sessions[f]; ses != nil {
		return ses
	}
	if s.closed || len(s.sessions) >= s.balancer.limits.Sessions {
		return nil
	}
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
	ses := &udpSession{flow: f, lease: l, up: up.(*net.UDPConn)}
	ses.last.Store(time.Now().UnixNano())
	s.sessions[f] = ses
	s.running.Go(func() { s.answer(ses) })
	return ses
}

// answer brings the endpoint's datagrams to the client until the session is idle for too long, closed, or refused.
func (s *udpServer) answer(ses *udpSession) {
	defer ses.lease.drop()
	defer ses.up.Close()
	defer s.forget(ses)
	buf := make([]byte, maxDatagram)
	idle := s.balancer.limits.SessionTime
	for {
		ses.up.SetReadDeadline(time.Unix(0, ses.last.Load()).Add(idle))
		n, err := ses.up.Read(buf)
		switch {
		case err == nil:
			ses.last.Store(time.Now().UnixNano())
			_, _, _ = s.conn.WriteMsgUDPAddrPort(buf[:n], []byte(ses.flow.local), ses.flow.client)
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Since(time.Unix(0, ses.last.Load())) >= idle {
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

func (s *udpServer) forget(ses *udpSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[ses.flow] == ses {
		delete(s.sessions, ses.flow)
	}
}

// keepOnly ends the sessions of endpoints that keep says no to.
func (u *udpListener) keepOnly(keep func(*target) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for f, ses := range u.sessions {
		if !keep(ses.lease.target) {
			delete(u.sessions, f)
			ses.up.Close()
		}
	}
}

// quit stops reading: another process has the socket now. Sessions bring the answers that are still to come, until they are idle.
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
		s := b.served.Load()
		be := s.backends[name]
		if be == nil {
			return lease{}, false
		}
		l, ok := be.pick(nil)
		if !ok {
			be.counters.unserved.Add(1)
			return l, false
		}
		if b.served.Load() == s {
			return l, true
		}
		l.drop()
	}
}
