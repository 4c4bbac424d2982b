package waf

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"rhumb"
)

// link is the connection to a process that looks at requests. Many questions are under way on it at a time; answers
// come in any order.
type link struct {
	conn  net.Conn
	ready chan struct{} // closed once the process can look at requests
	gone  chan struct{} // closed once nothing is answered any more

	writing sync.Mutex // guards the order of bytes; the deadline bounds how long it is held

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan rhumb.Finding
	open    int // questions without an answer, also those that nothing waits for any more
	ended   bool
}

// Bounds of the link.
const (
	maxOpen   = 512              // questions
	sendTime  = time.Second      // for one question to be taken
	stuckTime = 30 * time.Second // without any answer while there are questions: the process is taken for dead
)

func newLink(c net.Conn) *link {
	return &link{conn: c, ready: make(chan struct{}), gone: make(chan struct{}), waiting: map[uint64]chan rhumb.Finding{}}
}

// run takes answers until the connection ends, or the process is stuck.
func (l *link) run() error {
	defer l.end()
	var buf []byte
	for {
		number, content, err := read(l.conn, buf)
		if err != nil {
			return err
		}
		buf = content[:0]
		f, err := findingOf(content)
		if err != nil {
			return err
		}
		if err := l.answered(number, f); err != nil {
			return err
		}
	}
}

func (l *link) answered(number uint64, f rhumb.Finding) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number == 0 { // it comes first, and once
		select {
		case <-l.ready:
			return errMessage
		default:
			close(l.ready)
			return nil
		}
	}
	if c := l.waiting[number]; c != nil {
		c <- f // there is room for one
		delete(l.waiting, number)
	}
	l.open--
	l.watch()
	return nil
}

// watch sets by when the next answer must come. The caller holds mu.
func (l *link) watch() {
	var until time.Time
	if l.open > 0 {
		until = time.Now().Add(stuckTime)
	}
	_ = l.conn.SetReadDeadline(until) // if it fails, so does the read
}

// end ends the link.
func (l *link) end() {
	_ = l.conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		close(l.gone)
	}
}

var errGone = errors.New("the process that looks at requests has ended")

var errBusy = errors.New("too many requests wait to be looked at")

// ask sends a question, and waits for its answer.
func (l *link) ask(ctx context.Context, i *rhumb.Inspection) (rhumb.Finding, error) {
	message := appendInspection(make([]byte, prefixSize, prefixSize+1024+len(i.Body)), i)
	if len(message)-prefixSize > maxMessage || len(i.Fields) > maxFields {
		return rhumb.Finding{}, errMessage
	}
	number, answer, err := l.begin()
	if err != nil {
		return rhumb.Finding{}, err
	}
	defer l.forget(number)
	if err := l.send(seal(message, number)); err != nil {
		return rhumb.Finding{}, err
	}
	select {
	case f := <-answer:
		return f, nil
	case <-l.gone:
		return rhumb.Finding{}, errGone
	case <-ctx.Done():
		return rhumb.Finding{}, context.Cause(ctx)
	}
}

func (l *link) begin() (uint64, chan rhumb.Finding, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return 0, nil, errGone
	case l.open >= maxOpen:
		return 0, nil, errBusy
	}
	l.last++
	answer := make(chan rhumb.Finding, 1)
	l.waiting[l.last] = answer
	if l.open++; l.open == 1 {
		l.watch()
	}
	return l.last, answer, nil
}

// forget drops a question that nothing waits for any more. Its answer may still come.
func (l *link) forget(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, number)
}

// send writes a message. One that isn't taken whole leaves a link that can't be used.
func (l *link) send(message []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	_ = l.conn.SetWriteDeadline(time.Now().Add(sendTime)) // if it fails, so does the write
	_, err := l.conn.Write(message)
	if err != nil {
		l.end()
	}
	return err
}
