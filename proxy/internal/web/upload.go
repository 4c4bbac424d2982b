package web

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"rhumb/proxy/internal/http1"
)

// upload is the body of a request on its way to a replica. It is read before a replica is chosen if it is small;
// otherwise a goroutine of its own sends it, because a replica may answer before the body's end.
type upload struct {
	c       *conversation
	left    int64 // bytes that are still to come, unless it comes in chunks
	chunked bool
	chunks  http1.Chunks
	buf     []byte // lent; nil: none yet
	raw     []byte // what was read and not used
	begun   bool
	deaf    bool // the replica reads no more

	most  int64         // bytes that it may have; 0: any number
	total int64         // bytes of it that have come, if most isn't 0
	came  int           // bytes since the client last made progress
	spent time.Duration // waiting for them

	ahead  []byte // what was read before it is sent
	looked bool   // all of it is in ahead, and whole says so once that is taken

	whole bool          // all of it has been read, and taken
	done  chan struct{} // closed once the goroutine has ended; nil: there is none

	stopped atomic.Bool // nothing more is read

	// why it broke off
	slow, malformed, large, cut atomic.Bool
}

// smallBody is the size up to which a body of known length is read before a replica is chosen. It then goes out in one
// write with the header, no slow client keeps a replica waiting for it, and a replica may answer without reading it.
const smallBody = 8 << 10

// reset makes ready for the body of a request.
func (u *upload) reset(r *http1.Request) {
	u.left, u.chunked, u.whole = max(r.Length, 0), r.Length == http1.Chunked, r.Length == 0
	u.raw, u.begun, u.deaf, u.came, u.spent, u.done = nil, false, false, 0, 0, nil
	u.ahead, u.looked = nil, false
	u.stopped.Store(false)
	u.slow.Store(false)
	u.malformed.Store(false)
	u.large.Store(false)
	u.cut.Store(false)
	u.most, u.total = 0, 0
	if u.chunked {
		u.chunks.Reset()
	}
}

// small reports whether the body is read before a replica is chosen, because it has at most that many bytes.
func (u *upload) small(r *http1.Request, most int64) bool {
	return !u.chunked && !r.Continue && (u.looked || u.left > 0 && u.left <= most)
}

// arrived reports whether all of the body has come.
func (u *upload) arrived() bool { return u.whole || u.looked }

// look reads more than n bytes of the body, or all, before it is sent. They stay to be sent. That a body in chunks has
// exactly n bytes is known only by its last chunk.
func (u *upload) look(n int64) ([]byte, error) {
	for int64(len(u.ahead)) <= n && !u.whole {
		data, err := u.come()
		u.ahead = append(u.ahead, data...)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	if u.whole && u.begun {
		if !u.chunked { // trailers stay where they have been read
			u.end()
		}
		u.looked, u.whole = true, false
	}
	return u.ahead, nil
}

// readSmall appends the body to b.
func (u *upload) readSmall(b []byte) ([]byte, error) {
	for {
		data, err := u.next()
		b = append(b, data...)
		if errors.Is(err, io.EOF) {
			u.end()
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// next returns the next data of the body, which is valid until it is called again. With the last data, or after it, the
// error is io.EOF. Any other error is the client's, and noted.
func (u *upload) next() ([]byte, error) {
	if u.ahead == nil && !u.looked {
		return u.come()
	}
	data := u.ahead
	u.ahead = nil
	if u.looked {
		u.looked, u.whole = false, true
		return data, io.EOF
	}
	return data, nil
}

// come returns what comes next from the client.
func (u *upload) come() ([]byte, error) {
	for {
		if !u.begun {
			u.begun = true
			u.raw = u.c.in.bytes()
			u.c.in.take(len(u.raw))
		}
		if len(u.raw) == 0 && !u.whole {
			if err := u.fill(); err != nil {
				return nil, u.note(err)
			}
		}
		data, err := u.decode()
		if err != nil {
			return nil, u.note(err)
		}
		u.came += len(data) // what frames the data is no progress
		if u.exceeds(len(data)) {
			return nil, u.note(errTooLarge)
		}
		if u.whole {
			return data, io.EOF
		}
		if len(data) > 0 {
			return data, nil
		}
	}
}

var errTooLarge = errors.New("the body is larger than a limit allows")

// exceeds counts bytes that have come, and reports whether the body has more than it may.
func (u *upload) exceeds(n int) bool {
	if u.most == 0 {
		return false
	}
	u.total += int64(n)
	return u.total > u.most
}

// decode takes what there is of the body from raw.
func (u *upload) decode() ([]byte, error) {
	if u.chunked {
		data, n, err := u.chunks.Compact(u.raw)
		u.raw, u.whole = u.raw[n:], u.chunks.Done()
		return data, err
	}
	n := min(u.left, int64(len(u.raw)))
	data := u.raw[:n]
	u.raw, u.left = u.raw[n:], u.left-n
	u.whole = u.left == 0
	return data, nil
}

// fill reads once from the client, which must make progress.
func (u *upload) fill() error {
	l := &u.c.server.deps.Limits
	if u.buf == nil {
		u.buf = u.c.server.buffers.Get()
	}
	room := u.buf
	if !u.chunked {
		room = room[:min(u.left, int64(len(room)))]
	}
	if u.came >= l.Progress {
		u.came, u.spent = 0, 0
	}
	now := time.Now()
	u.c.wait(now.Add(l.ProgressTime - u.spent))
	if u.stopped.Load() {
		return os.ErrDeadlineExceeded
	}
	n, err := u.c.conn.Read(room)
	u.spent += time.Since(now)
	u.raw = room[:n]
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// note notes why the body broke off.
func (u *upload) note(err error) error {
	var fault *http1.Fault
	u.malformed.Store(errors.As(err, &fault))
	u.slow.Store(errors.Is(err, os.ErrDeadlineExceeded))
	u.large.Store(errors.Is(err, errTooLarge))
	u.cut.Store(true)
	return err
}

// end returns what was read behind the body to the conversation, and the buffer.
func (u *upload) end() {
	if u.buf == nil {
		u.c.in.take(-len(u.raw)) // they are the last that have come
	} else {
		u.c.in.put(u.raw)
	}
	u.raw = nil
	if u.buf != nil {
		u.c.server.buffers.Put(u.buf)
		u.buf = nil
	}
}

// start sends the body in a goroutine of its own. received counts its bytes.
func (u *upload) start(to io.WriteCloser, received *atomic.Uint64) {
	u.done = make(chan struct{})
	go u.send(to, received) // stop waits for it
}

func (u *upload) send(to io.WriteCloser, received *atomic.Uint64) {
	defer close(u.done)
	defer func() {
		if fault := recover(); fault != nil {
			notePanic(u.c.server.deps.Log, fault)
			u.cut.Store(true)
			_ = to.Close() // the replica must not take it for the whole
		}
	}()
	var out []byte
	for {
		data, err := u.next()
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			_ = to.Close() // the replica must not take it for the whole
			return
		}
		received.Add(uint64(len(data)))
		if u.chunked {
			out = out[:0]
			if len(data) > 0 {
				out = http1.AppendChunk(out, data)
			}
			if ended {
				out = outgoing{u.c}.appendTrailers(out)
			}
			data = out
		}
		if !u.deaf && len(data) > 0 {
			if _, err := to.Write(data); err != nil && !u.deafens(err) {
				return
			}
		}
		if ended {
			return
		}
	}
}

// deafens notes that the replica reads no more, and reports whether that is all. Its answer may have arrived all the
// same. If not, reading it fails.
func (u *upload) deafens(err error) bool {
	u.deaf = u.deaf || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
	return u.deaf
}

// stop ends the sending, and reports whether all of the body was read.
func (u *upload) stop() bool {
	if u.done != nil {
		select {
		case <-u.done:
		default:
			u.stopped.Store(true)
			_ = u.c.conn.SetReadDeadline(time.Unix(1, 0)) // the connection is used no more
			if l := u.c.link.Load(); l != nil {
				_ = l.Close()
			}
			<-u.done
			u.c.deadline = time.Time{} // another one is set than it says
		}
	}
	if u.done != nil || u.buf != nil || u.looked {
		u.end()
	}
	return u.arrived()
}

// wait waits until nothing sends the body any more.
func (u *upload) wait() {
	if u.done != nil {
		<-u.done
	}
}

// earlyTime is how long an answer waits for the end of the body that it answers.
const earlyTime = 5 * time.Millisecond

// overtaken reports whether an answer has come before the body's end. That is mostly only microseconds away.
func (u *upload) overtaken() bool {
	if u.done == nil {
		return !u.whole
	}
	select {
	case <-u.done:
	default:
		timer := time.NewTimer(earlyTime)
		defer timer.Stop()
		select {
		case <-u.done:
		case <-timer.C:
			return true
		}
	}
	return !u.whole
}
