package forward

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"rhumb"
)

// codecVersion is the first byte of an encoded line. A queue may be read by a later rhumb.
const codecVersion = 1

var errRecord = errors.New("a record of the queue isn't a line")

// appendLine appends a line as the queue keeps it. JSON would not keep bytes that aren't UTF-8.
func appendLine(b []byte, l rhumb.LogLine) []byte {
	b = append(b, codecVersion, flag(l.Stderr), byte(l.Level))
	b = binary.AppendVarint(b, l.Time.Unix())
	b = binary.AppendUvarint(b, uint64(l.Time.Nanosecond()))
	b = binary.AppendVarint(b, int64(l.Release))
	b = binary.AppendVarint(b, int64(l.Cut))
	for _, s := range []string{l.Stack, l.Service, l.Replica, l.Text, l.Container, string(l.Kind)} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(l.Fields)))
	for name, value := range l.Fields {
		b = appendString(appendString(b, name), value)
	}
	return b
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeLine returns the line that appendLine has encoded.
func decodeLine(b []byte) (rhumb.LogLine, error) {
	d := decoder{b: b}
	if d.byte() != codecVersion {
		return rhumb.LogLine{}, errRecord
	}
	l := rhumb.LogLine{Stderr: d.byte() == 1, Level: rhumb.Level(d.byte())}
	seconds, nanos := d.varint(), d.uvarint(uint64(time.Second))
	l.Time = time.Unix(seconds, int64(nanos)).UTC()
	l.Release, l.Cut = int(d.varint()), int(d.varint())
	l.Stack, l.Service, l.Replica, l.Text = d.string(), d.string(), d.string(), d.string()
	l.Container, l.Kind = d.string(), rhumb.LineKind(d.string())
	n := d.uvarint(uint64(len(d.b)))
	if n > 0 {
		l.Fields = make(map[string]string, n)
	}
	for range n {
		name := d.string()
		l.Fields[name] = d.string()
	}
	if d.bad || len(d.b) > 0 {
		return rhumb.LogLine{}, errRecord
	}
	return l, nil
}

// decoder reads values from the front of b. After a value that isn't there, bad is true and all others are zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() {
	d.b, d.bad = nil, true
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// uvarint returns a number up to most.
func (d *decoder) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string {
	n := d.uvarint(math.MaxInt32)
	if n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}
