package inbound

import (
	"encoding/binary"
	"time"
)

// frames counts what costs a client of HTTP/2 nothing to send: streams that it resets, and frames that carry neither a
// request nor a part of a body. The server answers or drops them one by one, however many come.
type frames struct {
	head  [9]byte
	have  int       // bytes of head
	left  int       // bytes of the frame's payload that are still to come
	last  uint32    // the newest stream
	since time.Time // when the connection began with HTTP/2

	requests, resets, others int64
}

// What a client may send without a delay: that many resets at first, and then one for every second request; that many
// other frames at first, and then enough to acknowledge answers and to ask whether the server is alive.
const (
	freeResets      = 50
	freeFrames      = 500
	framesPerSecond = 20
	framesPerStream = 10
	bytesPerFrame   = 64 // of what the client is sent, for one WINDOW_UPDATE
)

// take counts the frames whose heads end in b.
func (f *frames) take(b []byte) {
	for len(b) > 0 {
		n := min(f.left, len(b))
		f.left, b = f.left-n, b[n:]
		n = copy(f.head[f.have:], b)
		f.have, b = f.have+n, b[n:]
		if f.have == len(f.head) {
			f.have = 0
			f.note()
		}
	}
}

// note counts a frame by its head.
func (f *frames) note() {
	h := &f.head
	f.left = int(h[0])<<16 | int(h[1])<<8 | int(h[2])
	kind, last := h[3], h[4]&1 != 0
	switch stream := binary.BigEndian.Uint32(h[5:]); {
	case kind == 0 && (f.left > 0 || last): // DATA
	case kind == 1 && stream > f.last: // HEADERS, not trailers
		f.last = stream
		f.requests++
	case kind == 3: // RST_STREAM
		f.resets++
	default:
		f.others++
	}
}

// excess returns how many frames too many have come from a client that was sent so many bytes.
func (f *frames) excess(sent int64) int64 {
	n := f.resets - freeResets - f.requests/2
	if over := f.others - freeFrames - f.requests*framesPerStream - sent/bytesPerFrame; over > 0 {
		n = max(n, over-int64(time.Since(f.since).Seconds()*framesPerSecond))
	}
	return n
}
