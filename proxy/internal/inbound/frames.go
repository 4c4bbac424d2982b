package inbound

import (
	"encoding/binary"
	"time"
)

// frames counts what costs a client of HTTP/2 nothing to send: streams that it resets, and frames that carry neither a
// request nor a part of a body. The server answers or drops them one by one, however many come.
type frames struct {
	newest uint32    // stream
	since  time.Time // when the connection began with HTTP/2

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

// Kinds of frames.
const (
	kindData         = 0
	kindHeaders      = 1
	kindReset        = 3
	kindSettings     = 4
	kindContinuation = 9
)

// Flags of frames.
const (
	flagEnd        = 1 // of a stream; of SETTINGS: they acknowledge ours
	flagEndHeaders = 4
	flagPadded     = 8
	flagPriority   = 0x20
)

// frame is the head of a frame.
type frame struct {
	length      int
	kind, flags byte
	stream      uint32
}

const frameHead = 9 // bytes

func frameOf(b []byte) frame {
	return frame{length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), kind: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31)}
}

func (f frame) has(flag byte) bool { return f.flags&flag != 0 }

// note counts a frame that has so many bytes of data, if it can have any.
func (f *frames) note(h frame, data int) {
	switch {
	case h.kind == kindData && (data > 0 || h.has(flagEnd)):
	case h.kind == kindHeaders && h.stream > f.newest: // not trailers
		f.newest = h.stream
		f.requests++
	case h.kind == kindReset:
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
