package protocol

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// The part of MessagePack that Fluent forward needs.

func packArray(b []byte, n int) []byte {
	if n < 16 {
		return append(b, 0x90|byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdd), uint32(n))
}

func packMap(b []byte, n int) []byte {
	if n < 16 {
		return append(b, 0x80|byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdf), uint32(n))
}

func packString(b []byte, s string) []byte {
	if len(s) < 32 {
		b = append(b, 0xa0|byte(len(s)))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(len(s)))
	}
	return append(b, s...)
}

func packInt(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n))
}

// packTime appends Fluent's EventTime, an extension of type 0.
func packTime(b []byte, t time.Time) []byte {
	b = append(b, 0xd7, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Unix()))
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

var errMsgpack = errors.New("the receiver's answer isn't MessagePack that is expected here")

const (
	maxPacked = 1 << 16 // bytes or elements of a value that a receiver sends
	maxDepth  = 4
)

// unpack reads a value: a string or bytes as a string, a map as a map[string]any, an array as an []any, a bool, an
// int64, or nil.
func unpack(r *bufio.Reader, depth int) (any, error) {
	c, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	switch {
	case depth > maxDepth:
		return nil, errMsgpack
	case c <= 0x7f:
		return int64(c), nil
	case c <= 0x8f:
		return unpackMap(r, int(c&0x0f), depth)
	case c <= 0x9f:
		return unpackArray(r, int(c&0x0f), depth)
	case c <= 0xbf:
		return unpackString(r, int(c&0x1f))
	case c == 0xc0:
		return nil, nil
	case c == 0xc2 || c == 0xc3:
		return c == 0xc3, nil
	}
	size := map[byte]int{0xc4: 1, 0xc5: 2, 0xc6: 4, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd9: 1, 0xda: 2, 0xdb: 4,
		0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4}[c]
	if size == 0 {
		return nil, errMsgpack
	}
	var digits [8]byte
	if _, err := io.ReadFull(r, digits[8-size:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint64(digits[:])
	switch {
	case c >= 0xcc && c <= 0xcf:
		return int64(n), nil
	case n > maxPacked:
		return nil, errMsgpack
	case c >= 0xde:
		return unpackMap(r, int(n), depth)
	case c >= 0xdc:
		return unpackArray(r, int(n), depth)
	}
	return unpackString(r, int(n))
}

func unpackString(r *bufio.Reader, n int) (any, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return string(b), err
}

func unpackArray(r *bufio.Reader, n, depth int) (any, error) {
	var a []any
	for range n {
		v, err := unpack(r, depth+1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	return a, nil
}

func unpackMap(r *bufio.Reader, n, depth int) (any, error) {
	m := map[string]any{}
	for range n {
		k, err := unpack(r, depth+1)
		if err != nil {
			return nil, err
		}
		v, err := unpack(r, depth+1)
		if err != nil {
			return nil, err
		}
		name, ok := k.(string)
		if !ok {
			return nil, errMsgpack
		}
		m[name] = v
	}
	return m, nil
}
