package chain

import (
	"net/http"
	"strings"

	"rhumb"
)

// Head is what a chain looks at in a replica's answer, and in the request that it answers.
type Head struct {
	Method  string
	Accepts string // the request's Accept-Encoding
	Ranged  bool   // the request has a Range

	Status       int
	Length       int64 // of the body; negative: unknown
	Type         string
	Encoding     string // of the body already
	CacheControl string
	Vary         string
}

// Shape is how an answer changes on its way to the client. The zero value changes nothing.
type Shape struct {
	Coding Coding // of the body; "": as it came
	Added  []rhumb.HeaderField
	edits  *Edits
}

// Shape returns how an answer changes.
func (c *Chain) Shape(h *Head) Shape {
	if c == nil {
		return Shape{}
	}
	s := Shape{edits: &c.response, Added: c.response.Added}
	if c.compress && compressible(h) {
		if !lists(h.Vary, "accept-encoding") && !lists(h.Vary, "*") {
			s.Added = append(s.Added[:len(s.Added):len(s.Added)], rhumb.HeaderField{Name: "Vary", Value: "Accept-Encoding"})
		}
		if !h.Ranged && h.Method != http.MethodHead {
			s.Coding = negotiate(h.Accepts)
		}
	}
	return s
}

// Same has the body go as it came, because there is no place for an encoder.
func (s *Shape) Same() { s.Coding = "" }

// Field returns the value that a field of the answer has for the client, and whether it has it.
func (s *Shape) Field(name, value string) (string, bool) {
	if s.edits != nil && s.edits.Drops(name) {
		return "", false
	}
	if s.Coding == "" {
		return value, true
	}
	switch strings.ToLower(name) {
	case "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest":
		return "", false // of other bytes than these
	case "etag":
		if !strings.HasPrefix(value, "W/") {
			return "W/" + value, true // the same content, not the same bytes
		}
	}
	return value, true
}

// leastCompressed is the size from which a body is compressed. Smaller ones fit into a packet anyway.
const leastCompressed = 1 << 10

// compressible reports whether the answer would be compressed for a client that accepts it.
func compressible(h *Head) bool {
	switch {
	case h.Status < 200, h.Status == http.StatusNoContent, h.Status == http.StatusPartialContent,
		h.Status == http.StatusNotModified:
		return false
	case h.Encoding != "" && !strings.EqualFold(h.Encoding, "identity"):
		return false
	case h.Length >= 0 && h.Length < leastCompressed:
		return false
	}
	return !lists(h.CacheControl, "no-transform") && compressibleType(h.Type)
}

// compressibleTypes are types that compress well, besides text/*, *+json and *+xml.
const compressibleTypes = " application/json application/javascript application/x-javascript application/xml " +
	"application/x-ndjson application/wasm application/vnd.ms-fontobject font/ttf font/otf image/bmp "

func compressibleType(t string) bool {
	t, _, _ = strings.Cut(t, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	switch {
	case t == "", t == "text/event-stream", strings.HasPrefix(t, "application/grpc"):
		return false // events must arrive as they are sent
	case strings.HasPrefix(t, "text/"), strings.HasSuffix(t, "+json"), strings.HasSuffix(t, "+xml"):
		return true
	}
	return strings.Contains(compressibleTypes, " "+t+" ")
}

// Buffers returns how many bytes of an answer's body wait for its end. length is negative if it is unknown. Bodies that
// are larger than the buffer don't wait, nor do those that are sent bit by bit.
func (c *Chain) Buffers(length int64, kind string) int64 {
	switch most := c.Buffer.Response; {
	case most == 0, length > most, streams(kind):
		return 0
	case length >= 0:
		return length
	default:
		return most
	}
}

// streams reports whether the bytes of an answer of this type must not wait for more of them.
func streams(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "text/event-stream" || kind == "application/x-ndjson" || strings.HasPrefix(kind, "application/grpc")
}

// lists reports whether a list of HTTP has a word, which is in lower case. Parameters of words don't count.
func lists(list, word string) bool {
	for part := range strings.SplitSeq(list, ",") {
		part, _, _ = strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(part), word) {
			return true
		}
	}
	return false
}

// OfBody reports whether a field of an answer describes its body, so that it doesn't belong to another one.
func OfBody(name string) bool {
	switch strings.ToLower(name) {
	case "etag", "last-modified", "accept-ranges", "digest", "repr-digest":
		return true
	}
	return len(name) >= 8 && strings.EqualFold(name[:8], "content-") &&
		!strings.HasPrefix(strings.ToLower(name), "content-security-policy")
}
