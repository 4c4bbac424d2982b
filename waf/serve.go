package waf

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"rhumb"
)

// Engine looks at requests. It is safe for concurrent use.
type Engine interface {
	Inspect(i *rhumb.Inspection) rhumb.Finding
}

// Serve answers the questions that come on a connection with an engine, at most so many at a time, until the
// connection or ctx ends. First it says that it is ready.
func Serve(ctx context.Context, conn net.Conn, e Engine, atOnce int) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s := &service{conn: conn, engine: e}
	var work sync.WaitGroup
	defer work.Wait()
	places := make(chan struct{}, max(1, atOnce))
	s.answer(0, rhumb.Finding{}) // ready
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		number, content, err := read(in, nil)
		if err != nil {
			_ = conn.Close()
			return nil // the proxy has ended, or this process is to
		}
		i, err := inspectionOf(content)
		if err != nil {
			return rhumb.Errorf(rhumb.Internal, "a question of the proxy can't be read")
		}
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			s.answer(number, s.inspect(&i))
		})
	}
}

type service struct {
	conn   net.Conn
	engine Engine
	mu     sync.Mutex // guards the order of bytes
}

// inspect looks at a request. One that the engine can't bear counts as an attack: sent again and again, it would
// otherwise keep the process from looking at others.
func (s *service) inspect(i *rhumb.Inspection) (f rhumb.Finding) {
	defer func() {
		if fault := recover(); fault != nil {
			f = rhumb.Finding{Attack: true, Rules: []rhumb.WAFMatch{{Text: "The request can't be looked at"}}}
		}
	}()
	return s.engine.Inspect(i)
}

// answer sends an answer. If the proxy doesn't take it, the connection ends.
func (s *service) answer(number uint64, f rhumb.Finding) {
	message := seal(appendFinding(make([]byte, prefixSize, 512), &f), number)
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(sendTime)) // if it fails, so does the write
	if _, err := s.conn.Write(message); err != nil {
		_ = s.conn.Close()
	}
}
