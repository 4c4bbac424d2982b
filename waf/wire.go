package waf

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"

	"rhumb"
)

// A message is its length in 4 bytes, the number of its question in 8, and its content: an Inspection on the way there,
// a Finding on the way back. Texts are bytes with their length before them, because what a client sends is no UTF-8.

// Bounds of messages.
const (
	maxMessage = rhumb.MaxWAFBody + 1<<20 // bytes: a body, and a head that the proxy takes
	maxFields  = 2000                     // of a header
	maxRules   = 1000                     // that are left out, or that matched
	prefixSize = 12
)

var errMessage = errors.New("a message can't be read")

// seal completes a message that begins with prefixSize free bytes.
func seal(b []byte, number uint64) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-prefixSize))
	binary.BigEndian.PutUint64(b[4:], number)
	return b
}

// read reads a message into buf, or into a larger one, which it returns.
func read(r io.Reader, buf []byte) (number uint64, content []byte, err error) {
	var prefix [prefixSize]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return 0, buf, err
	}
	size := int(binary.BigEndian.Uint32(prefix[:]))
	if size > maxMessage {
		return 0, buf, errMessage
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err = io.ReadFull(r, buf)
	return binary.BigEndian.Uint64(prefix[4:]), buf, err
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendNumbers(b []byte, list []int) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, n := range list {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// appendInspection appends a question.
func appendInspection(b []byte, i *rhumb.Inspection) []byte {
	b = binary.AppendUvarint(b, uint64(i.Paranoia))
	b = binary.AppendUvarint(b, uint64(i.Score))
	b = appendNumbers(b, i.Without)
	b = appendText(b, i.Client.AsSlice())
	for _, s := range []string{i.Method, i.Target, i.Proto, i.Host} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(i.Fields)))
	for _, f := range i.Fields {
		b = appendText(appendText(b, f.Name), f.Value)
	}
	b = appendText(b, i.Body)
	return append(b, flag(i.Partial))
}

func flag(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// inspectionOf reads a question. Its body shares the memory of b.
func inspectionOf(b []byte) (i rhumb.Inspection, err error) {
	r := reader{left: b}
	i.Paranoia, i.Score, i.Without = r.number(), r.number(), r.numbers()
	i.Client, _ = netip.AddrFromSlice(r.bytes()) // the zero address is unknown
	i.Method, i.Target, i.Proto, i.Host = r.text(), r.text(), r.text(), r.text()
	if n := r.count(maxFields); n > 0 {
		i.Fields = make([]rhumb.HeaderField, n)
	}
	for at := range i.Fields {
		i.Fields[at] = rhumb.HeaderField{Name: r.text(), Value: r.text()}
	}
	i.Body = r.bytes()
	i.Partial = r.number() == 1
	return i, r.end()
}

// appendFinding appends an answer.
func appendFinding(b []byte, f *rhumb.Finding) []byte {
	b = binary.AppendUvarint(append(b, flag(f.Attack)), uint64(f.Score))
	rules := f.Rules[:min(len(f.Rules), maxRules)]
	b = binary.AppendUvarint(b, uint64(len(rules)))
	for _, m := range rules {
		b = binary.AppendUvarint(b, uint64(m.ID))
		b = appendText(appendText(b, m.Text), m.Where)
	}
	return b
}

// findingOf reads an answer.
func findingOf(b []byte) (f rhumb.Finding, err error) {
	r := reader{left: b}
	f.Attack, f.Score = r.number() == 1, r.number()
	if n := r.count(maxRules); n > 0 {
		f.Rules = make([]rhumb.WAFMatch, n)
	}
	for at := range f.Rules {
		f.Rules[at] = rhumb.WAFMatch{ID: r.number(), Text: r.text(), Where: r.text()}
	}
	return f, r.end()
}

// reader reads the parts of a message. After a mistake it reads zeros.
type reader struct {
	left []byte
	bad  bool
}

func (r *reader) number() int {
	n, size := binary.Uvarint(r.left)
	if size <= 0 || n > 1<<31 {
		r.left, r.bad = nil, true
		return 0
	}
	r.left = r.left[size:]
	return int(n)
}

// count reads the length of a list. Each of its items takes at least a byte.
func (r *reader) count(most int) int {
	n := r.number()
	if n > most || n > len(r.left) {
		r.left, r.bad = nil, true
		return 0
	}
	return n
}

func (r *reader) numbers() (list []int) {
	for range r.count(maxRules) {
		list = append(list, r.number())
	}
	return list
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > len(r.left) {
		r.left, r.bad = nil, true
		return nil
	}
	b := r.left[:n:n]
	r.left = r.left[n:]
	if n == 0 {
		return nil
	}
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) end() error {
	if r.bad || len(r.left) > 0 {
		return errMessage
	}
	return nil
}
