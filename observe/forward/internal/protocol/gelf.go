package protocol

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
)

const (
	gelfChunk      = 1420 // bytes of a packet that pass most networks whole
	gelfLargeChunk = 8154 // for a line that would need too many of them
	gelfChunks     = 128  // of a message, at most
	gelfChunkHead  = 12
)

// gelf writes lines as GELF 1.1 says.
type gelf struct{ host string }

// frame appends a message that ends with a zero byte. JSON has none.
func (g gelf) frame(dst []byte, l Line) []byte {
	return append(append(dst, g.message(l)...), 0)
}

// packets returns a compressed message, in chunks if it is long.
func (g gelf) packets(l Line) ([][]byte, error) {
	b := zip(g.message(l))
	size := gelfChunk - gelfChunkHead
	if len(b) > size*gelfChunks {
		size = gelfLargeChunk - gelfChunkHead
	}
	n := (len(b) + size - 1) / size
	switch {
	case n > gelfChunks:
		return nil, errTooLong
	case n == 1:
		return [][]byte{b}, nil
	}
	head := make([]byte, 0, gelfChunkHead)
	head = append(head, 0x1e, 0x0f)
	head = append(head, rand.Text()[:8]...)
	var all [][]byte
	for i := range n {
		p := append(bytes.Clone(head), byte(i), byte(n))
		all = append(all, append(p, b[i*size:min(len(b), (i+1)*size)]...))
	}
	return all, nil
}

func (g gelf) message(l Line) []byte {
	m := map[string]any{
		"version":       "1.1",
		"host":          cmp.Or(g.host, "-"),
		"short_message": valid(l.Text),
		"timestamp":     json.Number(unixSeconds(l)),
		"level":         severities[level(l)],
	}
	if strings.TrimSpace(l.Text) == "" {
		m["short_message"] = "-" // receivers refuse an empty one
	}
	set := func(name string, value any) {
		if _, ok := m[name]; !ok && name != "_id" && value != "" {
			m[name] = value
		}
	}
	set("_stack", l.Stack)
	set("_service", service(l))
	set("_stream", l.Stream())
	if l.Release != 0 {
		set("_release", l.Release)
	}
	for _, f := range known(l) {
		set("_"+f.name, valid(f.value))
	}
	for name, value := range l.Fields {
		if name != "" {
			set("_"+gelfName(name), valid(value))
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return b
}

// unixSeconds returns the line's time in seconds, with six digits after the point.
func unixSeconds(l Line) string {
	t := l.Time.UnixMicro()
	whole, part := t/1e6, t%1e6
	if part < 0 {
		whole, part = whole-1, part+1e6
	}
	return strconv.FormatInt(whole, 10) + "." + strconv.FormatInt(part+1e6, 10)[1:]
}

// gelfName returns a name of the letters that names of fields may have.
func gelfName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

// zip compresses bytes with gzip.
func zip(b []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}
