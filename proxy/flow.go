package proxy

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// flow is a connection whose requests the proxy can't tell apart: raw TCP, an upgraded one, a session of UDP. What it
// knows is who spoke last, and when.
type flow struct {
	last  atomic.Int64   // Unix nanoseconds of the last bytes, either way
	write atomic.Int32   // directions in which bytes wait to be taken
	spoke atomic.Bool    // bytes have moved
	asked atomic.Bool    // the last bytes were the client's: an answer may be due
	due   time.Duration  // for how long; 0: until it comes
	ends  []*net.TCPConn // what the kernel holds of them counts too; may be empty
	close func()         // nil: closing it helps no one: its client isn't held, or the replica has a better good-bye
}

// moment is how long nothing must have moved until a connection counts as quiet.
const moment = 50 * time.Millisecond

// greeting is how long a new flow isn't quiet although nothing has moved: in many a protocol the replica speaks first.
const greeting = 2 * time.Second

func newFlow(end func()) *flow {
	f := &flow{close: end}
	f.last.Store(time.Now().UnixNano())
	return f
}

// note notes that bytes have moved.
func (f *flow) note(fromClient bool) {
	f.spoke.Store(true)
	f.asked.Store(fromClient)
	f.last.Store(time.Now().UnixNano())
}

// passOn notes that bytes have come and wait to be taken by the other side, until the function that it returns is called.
func (f *flow) passOn(fromClient bool) (taken func()) {
	f.note(fromClient)
	f.write.Add(1)
	return f.taken
}

func (f *flow) taken() {
	f.last.Store(time.Now().UnixNano())
	f.write.Add(-1)
}

// quiet reports whether nothing is under way, as far as can be seen: no answer is due, nothing has moved for a moment, and
// the kernel holds no byte that was not read or not acknowledged.
func (f *flow) quiet(now time.Time) bool {
	return f.still(now) && !slices.ContainsFunc(f.ends, holdsBytes) && f.still(now)
}

func (f *flow) still(now time.Time) bool {
	still := now.UnixNano() - f.last.Load()
	if !f.spoke.Load() && still < int64(greeting) {
		return false
	}
	return f.write.Load() == 0 && still >= int64(moment) && (!f.asked.Load() || f.due > 0 && still >= int64(f.due))
}

// holdsBytes reports whether the kernel holds bytes of a connection, either way.
func holdsBytes(c *net.TCPConn) (holds bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		in, errIn := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		out, errOut := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		holds = errIn == nil && in > 0 || errOut == nil && out > 0
	})
	return holds
}

// flows are the flows of one replica. The zero value has none.
type flows struct {
	mu  sync.Mutex
	all map[*flow]bool
}

func (fs *flows) add(f *flow) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.all == nil {
		fs.all = map[*flow]bool{}
	}
	fs.all[f] = true
}

func (fs *flows) remove(f *flow) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.all, f)
}

// quiet returns those that are quiet.
func (fs *flows) quiet(now time.Time) (quiet []*flow) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for f := range fs.all {
		if f.quiet(now) {
			quiet = append(quiet, f)
		}
	}
	return quiet
}

// busy counts what is in flight and not quiet.
func (r *replica) busy(now time.Time) int {
	return max(0, int(r.open.Load())-len(r.flows.quiet(now)))
}

// dismiss closes each flow as soon as it is quiet, for as long as leaving says so: its client comes back, and is served by
// the replicas that stay, or waits for the next one. A client that is cut between two requests loses nothing; one whose
// replica is stopped loses the request that it sends just then.
func (r *replica) dismiss(ctx context.Context, leaving func() bool) {
	defer r.dismissing.Store(false)
	for leaving() && r.open.Load() > 0 { // one that is counted may become a flow yet
		for _, f := range r.flows.quiet(time.Now()) {
			if f.close != nil && f.quiet(time.Now()) { // closing the others takes a while
				f.close()
			}
		}
		select {
		case <-time.After(moment / 2):
		case <-ctx.Done():
			return
		}
	}
}

// dismissLeaving has the replicas dismiss their flows that the served table wants gone, if nothing does so already.
func (p *Proxy) dismissLeaving(s *snapshot) {
	for id, r := range s.replicas {
		if s.stays[id] || r.open.Load() == 0 || !r.dismissing.CompareAndSwap(false, true) {
			continue
		}
		p.conns.work.Go(func() { r.dismiss(p.conns.ctx, func() bool { return !p.served.load().stays[id] }) })
	}
}

// upgraded is an upgraded connection to a replica, of which its flow is told.
type upgraded struct {
	io.ReadWriteCloser
	flow   *flow
	leased lease
}

// upgrade makes a flow of an upgraded connection; it ends when that is closed. A replica that stops says good-bye in the
// words of that protocol, so the proxy doesn't close it.
func upgrade(c io.ReadWriteCloser, l lease) *upgraded {
	u := &upgraded{ReadWriteCloser: c, leased: l, flow: newFlow(nil)}
	l.replica.flows.add(u.flow)
	return u
}

// Read reads what the replica says.
func (u *upgraded) Read(b []byte) (int, error) {
	n, err := u.ReadWriteCloser.Read(b)
	if n > 0 {
		u.flow.note(false)
	}
	return n, err
}

// Write writes what the client says.
func (u *upgraded) Write(b []byte) (int, error) {
	if len(b) > 0 {
		u.flow.note(true)
	}
	return u.ReadWriteCloser.Write(b)
}

// Close closes it.
func (u *upgraded) Close() error {
	u.leased.replica.flows.remove(u.flow)
	return u.ReadWriteCloser.Close()
}
