package parse

import (
	"encoding/json"
	"strings"
)

// What is kept of a line's fields. The text has all of it.
const (
	maxFields     = 64
	maxFieldName  = 128
	maxFieldValue = 4 << 10
	maxFieldDepth = 8
)

// jsonFields returns the fields of a text that is a JSON object, or nil. Nested names are joined with dots; arrays, and
// objects that are nested too deep, stay JSON. What exceeds a limit is left out.
func jsonFields(text string) map[string]string {
	s := scanner{text: text, fields: make(map[string]string, 8)}
	s.space()
	if !s.object("", 1) {
		return nil
	}
	s.space()
	if s.i != len(s.text) {
		return nil
	}
	return s.fields
}

// scanner reads JSON. Its methods return false for what is not JSON; s.i is after what they have read.
type scanner struct {
	text   string
	i      int
	fields map[string]string
}

func (s *scanner) space() {
	for s.i < len(s.text) {
		switch s.text[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.text) && s.text[s.i] == c {
		s.i++
		return true
	}
	return false
}

// object reads an object whose members' names begin with a prefix.
func (s *scanner) object(prefix string, depth int) bool {
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		s.space()
		name, ok := s.str()
		if !ok || !s.take(':') {
			return false
		}
		if prefix != "" {
			name = prefix + "." + name
		}
		if !s.member(name, depth) {
			return false
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// member reads the value of a field.
func (s *scanner) member(name string, depth int) bool {
	s.space()
	if s.i >= len(s.text) {
		return false
	}
	switch s.text[s.i] {
	case '"':
		value, ok := s.str()
		s.put(name, value)
		return ok
	case '{':
		if depth < maxFieldDepth && len(name) <= maxFieldName {
			return s.object(name, depth+1)
		}
		return s.raw(name)
	case '[':
		return s.raw(name)
	}
	start := s.i
	if !s.scalar() {
		return false
	}
	if value := s.text[start:s.i]; value != "null" {
		s.put(name, value)
	}
	return true
}

func (s *scanner) put(name, value string) {
	if name == "" || len(s.fields) >= maxFields || len(name) > maxFieldName || len(value) > maxFieldValue {
		return
	}
	s.fields[name] = value
}

// str reads a string. It is a part of the text unless it has escapes.
func (s *scanner) str() (string, bool) {
	if s.i >= len(s.text) || s.text[s.i] != '"' {
		return "", false
	}
	start := s.i
	escaped := false
	for i := s.i + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.i = i + 1
			if !escaped {
				return s.text[start+1 : i], true
			}
			var v string
			if json.Unmarshal([]byte(s.text[start:s.i]), &v) != nil {
				return "", false
			}
			return v, true
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// raw reads an array or an object and keeps it as JSON.
func (s *scanner) raw(name string) bool {
	dec := json.NewDecoder(strings.NewReader(s.text[s.i:]))
	var v json.RawMessage
	if dec.Decode(&v) != nil {
		return false
	}
	s.put(name, string(v))
	s.i += int(dec.InputOffset())
	return true
}

// scalar reads a number, true, false or null.
func (s *scanner) scalar() bool {
	rest := s.text[s.i:]
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(rest, word) {
			s.i += len(word)
			return true
		}
	}
	n := 0
	for n < len(rest) && strings.IndexByte("0123456789+-.eE", rest[n]) >= 0 {
		n++
	}
	s.i += n
	return n > 0
}
