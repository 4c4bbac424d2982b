package inbound

import "io"

// sieve reads the frames of a client of HTTP/2 before the server does, and counts them. It changes those that the
// server would answer otherwise than RFC 9113 asks, and requests that are taken back already:
//
//   - A request with a field that only HTTP/1 has, or a TE that isn't "trailers", is a stream error. The server would
//     answer 400.
//   - A parameter may be set twice in one SETTINGS, and the last value counts. The server would end the connection.
//   - A request whose reset has come in right behind it isn't begun. The server would begin it, which takes a
//     connection to a replica, and then break it off.
//
// A header block can't be left out, because those that come later refer to it. So a request is refused by making its
// stream depend on itself: that is the stream error PROTOCOL_ERROR, and the server resets the stream at once.
//
// The sieve is used by one reader at a time.
type sieve struct {
	frames
	buf    []byte // where it reads to
	in     []byte // what it has read and not looked at: a part of buf
	out    []byte // what the server reads next
	head   [frameHead]byte
	left   int    // bytes of the frame's payload that pass as they come
	held   []byte // whole frames that don't pass yet: SETTINGS, or a header block
	hold   int    // bytes of the last one that are still to come
	last   frame  // the last one of held
	parts  int    // frames of the block
	opens  bool   // the block begins a request
	max    int    // bytes of a header block
	broken bool   // a header block could not be read: no other may come
	fields fieldReader
}

const (
	readAhead   = 4 << 10
	maxSettings = 100 * settingSize // bytes of what the server accepts
	keptHeld    = 4 << 10           // a longer memory is let go of
	maxParts    = 32                // frames of a header block; that of clients is in one to five
)

// put takes bytes that were read already, before anything is read.
func (s *sieve) put(b []byte) {
	s.buf = make([]byte, max(readAhead, len(b)))
	s.in = s.buf[:copy(s.buf, b)]
}

// read reads from src, and returns a part of a frame for the server.
func (s *sieve) read(src io.Reader, p []byte) (int, error) {
	for len(p) > 0 {
		switch {
		case len(s.out) > 0:
			n := copy(p, s.out)
			s.out = s.out[n:]
			return n, nil
		case s.left > 0:
			return s.pass(src, p[:min(len(p), s.left)])
		}
		taken, err := s.take()
		if err == nil && !taken {
			err = s.fill(src)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// pass reads a part of a payload that passes as it comes.
func (s *sieve) pass(src io.Reader, p []byte) (n int, err error) {
	if len(s.in) > 0 {
		n = copy(p, s.in)
		s.in = s.in[n:]
	} else {
		n, err = src.Read(p)
	}
	s.left -= n
	return n, err
}

// fill reads more.
func (s *sieve) fill(src io.Reader) error {
	if s.buf == nil {
		s.buf = make([]byte, readAhead)
	}
	have := copy(s.buf, s.in) // less than a head and the length of its padding
	n, err := src.Read(s.buf[have:])
	s.in = s.buf[:have+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// take takes a frame, or a part of one that is held. It returns false if more bytes are needed. After a header block
// that could not be read, the error is io.EOF: the server ends the connection when it has read that one, or should.
func (s *sieve) take() (bool, error) {
	if s.hold > 0 {
		n := min(s.hold, len(s.in))
		s.held = append(s.held, s.in[:n]...)
		s.in, s.hold = s.in[n:], s.hold-n
		if s.hold == 0 {
			s.whole()
		}
		return n > 0, nil
	}
	if len(s.in) < frameHead {
		return false, nil
	}
	h := frameOf(s.in)
	data := h.length
	if h.kind == kindData && h.has(flagPadded) && h.length > 0 {
		if len(s.in) == frameHead {
			return false, nil
		}
		data -= 1 + int(s.in[frameHead])
	}
	return true, s.begin(h, data)
}

// begin begins with a frame whose head has come.
func (s *sieve) begin(h frame, data int) error {
	block := len(s.held) > 0 // whose end hasn't come
	opens := h.kind == kindHeaders && h.stream > s.newest
	s.note(h, data)
	switch {
	case block && (h.kind != kindContinuation || h.stream != s.last.stream),
		(block || h.kind == kindHeaders) && (len(s.held)+h.length > s.max || s.parts == maxParts):
		s.release() // for the server to refuse
		s.broken = true
	case h.kind == kindHeaders && s.broken:
		return io.EOF
	case block, h.kind == kindHeaders, h.kind == kindSettings && !h.has(flagEnd) && h.length <= maxSettings:
		if !block {
			s.opens, s.parts = opens, 0
		}
		s.parts++
		s.held = append(s.held, s.in[:frameHead]...)
		s.in, s.hold, s.last = s.in[frameHead:], h.length, h
		if s.hold == 0 {
			s.whole()
		}
		return nil
	}
	if len(s.out) == 0 {
		s.out = s.head[:copy(s.head[:], s.in[:frameHead])]
	} else {
		s.out = append(s.out, s.in[:frameHead]...)
	}
	s.in, s.left = s.in[frameHead:], h.length
	return nil
}

// whole is called when a frame is held whole. It lets pass what is held, unless more of a header block is to come.
func (s *sieve) whole() {
	if s.last.kind == kindSettings {
		s.held = lastOfEach(s.held)
	} else {
		if !s.last.has(flagEndHeaders) {
			return
		}
		pure, err := s.fields.pure(s.held)
		switch {
		case err != nil:
			s.broken = true
		case s.opens && !pure:
			s.resets++ // which the client makes the server send
			s.held = dependOnItself(s.held)
		case s.opens && s.takenBack(s.last.stream):
			s.held = dependOnItself(s.held)
		}
	}
	s.release()
}

// release lets pass what is held.
func (s *sieve) release() {
	s.out, s.parts = s.held, 0
	s.held = s.held[:0] // nothing is held before out has been read
	if cap(s.held) > keptHeld {
		s.held = nil
	}
}

// takenBack reports whether the reset of a stream has come already.
func (s *sieve) takenBack(stream uint32) bool {
	for b := s.in; len(b) >= frameHead; {
		h := frameOf(b)
		if h.kind == kindReset && h.stream == stream {
			return true
		}
		if len(b) < frameHead+h.length {
			return false
		}
		b = b[frameHead+h.length:]
	}
	return false
}
