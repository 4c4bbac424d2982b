package inbound

import (
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// fieldReader reads the header blocks of a connection of HTTP/2, each of which refers to those before.
type fieldReader struct {
	decoder *hpack.Decoder
	size    int  // of the fields of a block
	impure  bool // one of them may not be in a request
	te      bool // there was a TE
}

const (
	tableSize = 4096     // bytes of what blocks refer to; the server announces no other
	maxFields = 64 << 10 // bytes of the fields that are looked at
)

var errFrame = errors.New("a frame has another length than its flags need")

// pure reads a header block of whole frames, and reports whether all fields that it has may be in a request of HTTP/2
// (RFC 9113, 8.2.2). An error is one that the server finds too, and ends the connection for.
func (r *fieldReader) pure(block []byte) (bool, error) {
	if r.decoder == nil {
		r.decoder = hpack.NewDecoder(tableSize, r.take)
	}
	r.size, r.impure, r.te = 0, false, false
	r.decoder.SetEmitEnabled(true)
	for len(block) > 0 {
		h := frameOf(block)
		part, ok := fragment(h, block[frameHead:frameHead+h.length])
		if !ok {
			return false, errFrame
		}
		if _, err := r.decoder.Write(part); err != nil {
			return false, err
		}
		block = block[frameHead+h.length:]
	}
	return !r.impure, r.decoder.Close()
}

// take takes a field.
func (r *fieldReader) take(f hpack.HeaderField) {
	if r.size += len(f.Name) + len(f.Value); r.size > maxFields {
		r.decoder.SetEmitEnabled(false) // a byte of a block may stand for kilobytes
	}
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		r.impure = true
	case "te":
		r.impure = r.impure || r.te || f.Value != "trailers"
		r.te = true
	}
}

// fragment returns the part of a frame's payload that belongs to the header block.
func fragment(h frame, payload []byte) ([]byte, bool) {
	if h.kind != kindHeaders {
		return payload, true
	}
	from, to := 0, len(payload)
	if h.has(flagPadded) {
		if len(payload) == 0 {
			return nil, false
		}
		from, to = 1, to-int(payload[0])
	}
	if h.has(flagPriority) {
		from += prioritySize
	}
	if from > to {
		return nil, false
	}
	return payload[from:to], true
}

const (
	prioritySize = 5
	maxFrame     = 16 << 10 // bytes of a payload; the server announces no other
)

// dependOnItself makes the stream of a header block depend on itself, which is a stream error. A frame that has no room
// for that stays as it is.
func dependOnItself(block []byte) []byte {
	h, at := frameOf(block), frameHead
	if h.has(flagPadded) {
		at++
	}
	if !h.has(flagPriority) {
		if h.length+prioritySize > maxFrame {
			return block
		}
		block = slices.Insert(block, at, make([]byte, prioritySize)...)
		n := h.length + prioritySize
		block[0], block[1], block[2], block[4] = byte(n>>16), byte(n>>8), byte(n), h.flags|flagPriority
	}
	binary.BigEndian.PutUint32(block[at:], h.stream)
	return block
}

// Parameters of SETTINGS.
const (
	settingSize = 6 // bytes of a parameter with its value

	tableSetting  = 1
	pushSetting   = 2
	windowSetting = 4
	frameSetting  = 5
)

// lastOfEach leaves the last value of each parameter that is set more than once in a frame of SETTINGS. A frame with a
// value that the server must refuse stays as it is, and so does one that sets the table's size twice: the smaller one
// counts too (RFC 7541, 4.2).
func lastOfEach(b []byte) []byte {
	h, p := frameOf(b), b[frameHead:]
	if h.stream != 0 || h.length%settingSize != 0 {
		return b
	}
	for i := 0; i < len(p); i += settingSize {
		if setAgain(p[i:]) && !replaceable(p[i:]) {
			return b
		}
	}
	n := 0
	for i := 0; i < len(p); i += settingSize {
		if !setAgain(p[i:]) {
			n += copy(p[n:], p[i:i+settingSize])
		}
	}
	b[0], b[1], b[2] = byte(n>>16), byte(n>>8), byte(n)
	return b[:frameHead+n]
}

// setAgain reports whether the first parameter occurs once more.
func setAgain(p []byte) bool {
	for i := settingSize; i < len(p); i += settingSize {
		if p[i] == p[0] && p[i+1] == p[1] {
			return true
		}
	}
	return false
}

// replaceable reports whether the first parameter's value is as good as if it had not been set.
func replaceable(p []byte) bool {
	value := binary.BigEndian.Uint32(p[2:])
	switch binary.BigEndian.Uint16(p) {
	case tableSetting:
		return false
	case pushSetting:
		return value <= 1
	case windowSetting:
		return value < 1<<31
	case frameSetting:
		return value >= 16<<10 && value < 1<<24
	}
	return true
}
