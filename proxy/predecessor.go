package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/proxy/internal/table"
)

// question is what a proxy asks the one it took over from.
type question struct {
	Table *rhumb.Table // serve this from now on; nil: only tell what is open
}

type answer struct {
	Open map[string]int // connections and requests in flight, by replica ID
}

// predecessors are the old proxies that finish their connections, also those from before the last takeover.
type predecessors struct {
	log *slog.Logger

	mu    sync.Mutex
	conns []*net.UnixConn
}

func (o *predecessors) add(cs ...*net.UnixConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conns = append(o.conns, cs...)
}

// close lets go of them: this proxy ends, or a successor has them.
func (o *predecessors) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.conns {
		c.Close()
	}
	o.conns = nil
}

// ask adds up what the old proxies have open, and forgets those that are gone.
func (o *predecessors) ask(q question) map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	open := map[string]int{}
	o.conns = slices.DeleteFunc(o.conns, func(c *net.UnixConn) bool {
		var a answer
		c.SetDeadline(time.Now().Add(followTime))
		err := writeFrame(c, q)
		if err == nil {
			err = readFrame(c, &a)
		}
		if err != nil {
			o.log.Info("old proxy is gone", "reason", err)
			c.Close()
			return true
		}
		for id, n := range a.Open {
			open[id] += n
		}
		return false
	})
	return open
}

// handOver is the old proxy's side of a takeover.
func (p *Proxy) handOver(w http.ResponseWriter, r *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.log.Error("takeover failed", "error", err)
		return
	}
	conn := c.(*net.UnixConn)
	stop := context.AfterFunc(r.Context(), func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if err := p.offer(conn); err != nil {
		p.log.Warn("takeover not completed, going on", "error", err)
		return
	}
	p.log.Info("handed over")
	p.follow(conn)
}

// offer hands over sockets and table, and ends this proxy's accepting once the new one serves. No table is taken meanwhile.
func (p *Proxy) offer(conn *net.UnixConn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn.SetDeadline(time.Now().Add(takeoverTime))
	if p.ended {
		io.WriteString(conn, "HTTP/1.1 409 Conflict\r\nContent-Length: 14\r\nConnection: close\r\n\r\nit is stopping")
		return errors.New("stopping already")
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: takeover\r\n\r\n"); err != nil {
		return err
	}
	if err := expect(conn, byteGo); err != nil {
		return err
	}
	if err := p.sendAll(conn); err != nil {
		return err
	}
	if err := expect(conn, byteServing); err != nil {
		return err
	}
	p.ended = true
	p.successor.Store(int64(peer(conn)))
	p.certs.Rest()
	p.disown() // before the new one is told that the segments are its own
	close(p.succeeded)
	p.before.close()
	_, err := conn.Write([]byte{byteAgreed})
	return err
}

// Successor gives the process that serves instead of this one; 0: none does, or it isn't known.
func (p *Proxy) Successor() int { return int(p.successor.Load()) }

// peer gives the process at the other end; 0 if the kernel doesn't tell.
func peer(conn *net.UnixConn) (pid int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

// sendAll sends the offer and all file descriptors. Nobody may talk to the older proxies before it is known whose they are: the caller holds mu,
// and Status is a question of one message at a time.
func (p *Proxy) sendAll(conn *net.UnixConn) error {
	o := offer{PID: os.Getpid(), Table: p.served.Load().table}
	var files []syscall.Conn
	for b, s := range p.sockets {
		o.Sockets = append(o.Sockets, offeredSocket{UDP: b.UDP, Addr: b.Addr})
		files = append(files, s.Descriptor())
	}
	p.before.mu.Lock()
	defer p.before.mu.Unlock()
	o.Before = len(p.before.conns)
	for _, c := range p.before.conns {
		files = append(files, c)
	}
	if err := writeFrame(conn, o); err != nil {
		return err
	}
	for _, f := range files {
		if err := sendFile(conn, f); err != nil {
			return err
		}
	}
	return nil
}

// follow serves what the successor serves, to the connections that are still here, and tells what they are.
func (p *Proxy) follow(conn *net.UnixConn) {
	conn.SetDeadline(time.Time{}) // its end closes the connection, or this proxy's own
	for {
		var q question
		if err := readFrame(conn, &q); err != nil {
			return
		}
		if q.Table != nil && table.Validate(*q.Table) == nil {
			p.mu.Lock()
			p.swap(table.Clone(*q.Table), nil)
			p.mu.Unlock()
		}
		open := p.open(q.Table)
		if err := writeFrame(conn, answer{Open: open}); err != nil {
			return
		}
	}
}

// open counts what is in flight here and in the proxies before this one. t, if any, is given to them first.
func (p *Proxy) open(t *rhumb.Table) map[string]int {
	old := p.before.ask(question{Table: t})
	all := p.served.Load().open()
	for id, n := range old {
		all[id] += n
	}
	return all
}

// inherit takes what an old proxy offers and serves it; nil without error if there is no old one.
func (p *Proxy) inherit(ctx context.Context) (*inheritance, error) {
	got, err := takeOver(ctx, p.options.Socket)
	if got == nil {
		return nil, err
	}
	t := table.Clone(got.Table)
	err = table.Validate(t)
	if err == nil {
		err = p.saved.Save(t)
	}
	if err != nil {
		got.refuse()
		return nil, err
	}
	p.log.Info("taking over", "pid", got.PID, "version", t.Version, "sockets", len(got.sockets))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swap(t, got.sockets)
	return got, nil
}

// succeed tells the old proxy that this one serves. After an error the old one goes on.
func (p *Proxy) succeed(got *inheritance) error {
	_, err := got.conn.Write([]byte{byteServing})
	if err == nil {
		err = expect(got.conn, byteAgreed)
	}
	if err != nil {
		got.refuse()
		return rhumb.Errorf(rhumb.Unavailable, "takeover: the old proxy goes on: %w", err)
	}
	p.before.add(append(got.before, got.conn)...)
	return nil
}
