// Package flow knows connections whose requests the proxy can't tell apart: raw TCP, upgraded HTTP, sessions of UDP. It
// copies them, and knows when they are quiet.
package flow

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/socket"
)

// Flow is one such connection. It knows which side sent last, and when.
type Flow struct {
	Due   time.Duration  // how long an answer to the client may be due; 0: until it comes
	Bound socket.Binding // where the client connected; zero if it doesn't matter
	Bytes *Bytes         // what counts the bytes that it moves; nil: nothing does

	Client netip.Addr // invalid if it doesn't matter

	end  func()         // closes it; nil: it may not be closed
	ends []*net.TCPConn // what the kernel holds of them counts too; may be empty

	last    atomic.Int64 // when bytes last moved, by clock
	writing atomic.Int32 // directions in which bytes wait to be taken
	spoke   atomic.Bool  // bytes have moved
	asked   atomic.Bool  // the last bytes were the client's: an answer may be due
}

// Bytes counts bytes that clients sent, and that they were sent.
type Bytes struct{ Received, Sent atomic.Uint64 }

// moment is how long nothing must have moved until a connection counts as quiet.
const moment = 50 * time.Millisecond

// greeting is how long a new flow isn't quiet although nothing has moved: in many protocols the replica speaks first.
const greeting = 2 * time.Second

var start = time.Now()

// clock returns a time that doesn't jump when the machine's clock is set.
func clock() time.Duration { return time.Since(start) }

// New returns a flow that end closes. end is nil for a flow that Dismiss must leave open, either because its client
// would not be held when it comes back, or because the replica says goodbye in its own protocol.
func New(end func(), ends ...*net.TCPConn) *Flow {
	f := &Flow{end: end, ends: ends}
	f.last.Store(int64(clock()))
	return f
}

// Note notes that bytes have moved, and counts them.
func (f *Flow) Note(fromClient bool, n int) {
	f.moved(fromClient)
	f.count(fromClient, n)
}

func (f *Flow) moved(fromClient bool) {
	f.spoke.Store(true)
	f.asked.Store(fromClient)
	f.last.Store(int64(clock()))
}

func (f *Flow) count(fromClient bool, n int) {
	switch {
	case f.Bytes == nil:
	case fromClient:
		f.Bytes.Received.Add(uint64(n))
	default:
		f.Bytes.Sent.Add(uint64(n))
	}
}

// come notes that bytes have come. They wait to be taken by the other side, until taken is called.
func (f *Flow) come(fromClient bool) {
	f.moved(fromClient)
	f.writing.Add(1)
}

// taken notes that the other side has taken n of the bytes that have come.
func (f *Flow) taken(fromClient bool, n int) {
	f.last.Store(int64(clock()))
	f.writing.Add(-1)
	f.count(fromClient, n)
}

// Still returns how long nothing has moved.
func (f *Flow) Still() time.Duration { return clock() - time.Duration(f.last.Load()) }

// quiet reports whether nothing is under way, as far as can be seen: no answer is due, nothing has moved for a moment,
// and the kernel holds no byte that was not read or not acknowledged.
func (f *Flow) quiet() bool {
	return f.settled() && !slices.ContainsFunc(f.ends, holdsBytes) && f.settled()
}

func (f *Flow) settled() bool {
	still := f.Still()
	if !f.spoke.Load() && still < greeting {
		return false
	}
	return f.writing.Load() == 0 && still >= moment && (!f.asked.Load() || f.Due > 0 && still >= f.Due)
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

// Flows is a set of flows. The zero value is empty.
type Flows struct {
	mu  sync.Mutex
	all map[*Flow]struct{}
}

// Add adds a flow.
func (fs *Flows) Add(f *Flow) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.all == nil {
		fs.all = map[*Flow]struct{}{}
	}
	fs.all[f] = struct{}{}
}

// Remove removes a flow, if it is there.
func (fs *Flows) Remove(f *Flow) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.all, f)
}

// Quiet counts the flows that are quiet.
func (fs *Flows) Quiet() int { return len(fs.quiet()) }

func (fs *Flows) quiet() (quiet []*Flow) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for f := range fs.all {
		if f.quiet() {
			quiet = append(quiet, f)
		}
	}
	return quiet
}

// CheckEvery is how often Dismiss is worth calling: flows become quiet in the meantime.
const CheckEvery = moment / 2

// Dismiss closes the flows that are quiet.
func (fs *Flows) Dismiss() {
	for _, f := range fs.quiet() {
		if f.end != nil && f.quiet() { // closing the others takes a while
			f.end()
		}
	}
}

// Cut closes the flows of the clients in a network.
func (fs *Flows) Cut(clients netip.Prefix) {
	var its []*Flow
	fs.mu.Lock()
	for f := range fs.all {
		if f.end != nil && clients.Contains(f.Client) {
			its = append(its, f)
		}
	}
	fs.mu.Unlock()
	for _, f := range its {
		f.end()
	}
}

// MakeRoom closes the flow that has been still for the longest, of those that came in at the address, if that is at
// least the given time. The zero Binding is any address.
func (fs *Flows) MakeRoom(at socket.Binding, least time.Duration) {
	var stillest *Flow
	fs.mu.Lock()
	for f := range fs.all {
		if still := f.Still(); f.Bound.In(at) && still >= least {
			stillest, least = f, still
		}
	}
	fs.mu.Unlock()
	if stillest != nil && stillest.end != nil {
		stillest.end()
	}
}
