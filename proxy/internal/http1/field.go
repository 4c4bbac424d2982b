package http1

import "strings"

// Field is a line of a header, or a trailer.
type Field struct {
	Name, Value string // as they came, without blanks around the value
	Kind        Kind
}

// Kind is what a proxy has to know of a field's name.
type Kind uint8

// Kinds of fields. Only what a proxy treats in its own way has one.
const (
	Other Kind = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	Upgrade
	TE
	Trailer
	Expect
	Hop // another field that is between two neighbours: Keep-Alive, Proxy-Authorization
	ForwardedFor
	ForwardedHost
	ForwardedProto
	ForwardedOther // X-Forwarded- and anything else
	Claim          // says where a request comes from, in a way that no peer is believed in
	UserAgent
	Referer
	RequestID
	Accept
	Date
	StrictTransport
)

// known are the names with a kind, by their length.
var known = func() (t [26][]knownName) {
	for kind, names := range map[Kind][]string{
		Host: {"host"}, ContentLength: {"content-length"}, TransferEncoding: {"transfer-encoding"},
		Connection: {"connection"}, Upgrade: {"upgrade"}, TE: {"te"}, Trailer: {"trailer"}, Expect: {"expect"},
		Hop:          {"keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"},
		ForwardedFor: {"x-forwarded-for"}, ForwardedHost: {"x-forwarded-host"}, ForwardedProto: {"x-forwarded-proto"},
		UserAgent: {"user-agent"}, Referer: {"referer"}, RequestID: {"x-request-id"}, Accept: {"accept"}, Date: {"date"},
		StrictTransport: {"strict-transport-security"},
	} {
		for _, n := range names {
			t[len(n)] = append(t[len(n)], knownName{n, kind})
		}
	}
	return t
}()

type knownName struct {
	lower string
	kind  Kind
}

// kindOf returns the kind of a name, which isn't empty.
func kindOf(name []byte) Kind {
	if len(name) < len(known) {
		for _, k := range known[len(name)] {
			if k.lower[0] == name[0]|0x20 && same(name, k.lower, false) {
				return k.kind
			}
		}
	}
	switch name[0] | 0x20 {
	case 'x':
		const prefix = "x-forwarded-"
		if len(name) >= len(prefix) && same(name[:len(prefix)], prefix, true) {
			if name[1] == '-' && name[len(prefix)-1] == '-' {
				return ForwardedOther
			}
			return Claim
		}
		if same(name, "x-real-ip", true) {
			return Claim
		}
	case 'f':
		if same(name, "forwarded", false) {
			return Claim
		}
	}
	return Other
}

// readField splits a line of a header.
func readField(line []byte) (f Field, value []byte, err error) {
	colon := 0
	for colon < len(line) && classes[line[colon]]&inToken != 0 {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return f, nil, ErrField
	}
	value = line[colon+1:]
	if !all(value, inValue) {
		return f, nil, ErrLine
	}
	return Field{text(line[:colon]), text(trim(value)), kindOf(line[:colon])}, value, nil
}

// options are what the fields Connection of a message name.
type options struct {
	Close     bool
	KeepAlive bool
	Named     []string // other names; fields of those names are for the neighbour only
	upgrade   bool
}

// take takes in a value of Connection.
func (o *options) take(value string) error {
	for part := range strings.SplitSeq(value, ",") {
		switch name := trim(part); {
		case name == "":
		case same(name, "close", false):
			o.Close = true
		case same(name, "keep-alive", false):
			o.KeepAlive = true
		case same(name, "upgrade", false):
			o.upgrade = true
		default:
			if len(o.Named) == maxOptions {
				return ErrOptions
			}
			o.Named = append(o.Named, name)
		}
	}
	return nil
}

func (o *options) reset() {
	clear(o.Named)
	*o = options{Named: o.Named[:0]}
}

// Names reports whether Connection names a field.
func (o *options) Names(field string) bool {
	for _, n := range o.Named {
		if strings.EqualFold(n, field) {
			return true
		}
	}
	return false
}

// First returns the first value of a kind.
func First(fields []Field, kind Kind) string {
	for i := range fields {
		if fields[i].Kind == kind {
			return fields[i].Value
		}
	}
	return ""
}

// Join returns the values of a kind as one list.
func Join(fields []Field, kind Kind) string {
	var values []string
	for i := range fields {
		if fields[i].Kind == kind {
			values = append(values, fields[i].Value)
		}
	}
	return strings.Join(values, ", ")
}

// HasToken reports whether a list has a token.
func HasToken(list, lower string) bool {
	for list != "" {
		var part string
		part, list, _ = strings.Cut(list, ",")
		if same(trim(part), lower, false) {
			return true
		}
	}
	return false
}
