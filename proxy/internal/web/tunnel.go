package web

import (
	"io"
	"net/http"
	"sync"
	"time"

	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/http1"
)

// tunnel passes the change of protocol on, and then copies both ways until a side ends. When the replica ends its side,
// the client may still finish; when the client does, both are closed: it may be a client that has left.
func (x *exchange) tunnel() {
	c := x.c
	c.watch.rest()
	x.course.unlimit()
	x.last, x.status = true, http.StatusSwitchingProtocols
	c.out = append(appendSwitch(c.out[:0], &c.response), "\r\n"...)
	if _, err := c.conn.Write(c.out); err != nil {
		x.noteError(leftWithin)
		return
	}
	c.server.conns.Note(c.conn, http.StateHijacked)
	_ = c.conn.SetDeadline(time.Time{}) // from now on it may be as slow as it likes
	early := c.in.bytes()
	c.in.take(len(early))
	c.conn.Return(early)
	both := x.member.Upgrade(&linked{Link: x.link, early: c.back.bytes()})
	defer both.Close()
	var client sync.WaitGroup
	client.Go(func() {
		defer c.survive()
		defer func() { _ = x.link.Close() }() // either side ends it
		_, _ = io.Copy(both, c.conn)
	})
	n, err := io.Copy(struct{ io.Writer }{c.conn}, both)
	x.sent = n
	if err != nil || c.conn.CloseWrite() != nil {
		_ = c.conn.Close()
	}
	client.Wait()
}

// appendSwitch appends the answer that changes the protocol.
func appendSwitch(b []byte, a *http1.Response) []byte {
	b = appendStatus(b, 1, a.Status, a.Reason)
	for i := range a.Fields {
		if f := &a.Fields[i]; passes(f, a) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	return appendField(append(b, "Connection: Upgrade\r\n"...), "Upgrade", a.Upgrade)
}

// linked is a link of which some bytes have been read already.
type linked struct {
	*backend.Link
	early []byte
}

// Read reads what the replica sends.
func (l *linked) Read(b []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(b, l.early)
		l.early = l.early[n:]
		return n, nil
	}
	return l.Link.Read(b)
}
