package protocol

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxSyslogPacket is the length of a syslog message over UDP. RFC 5426 recommends 2048 bytes at least; the usual
// receivers take 8192.
const maxSyslogPacket = 8192

// sdID names our structured data. 32473 is the enterprise number that RFC 5612 keeps for examples: rhumb has no number
// of its own.
const sdID = "rhumb@32473"

const facilityUser = 1

// syslog writes lines as RFC 5424 says.
type syslog struct {
	host string
	most int // bytes of a message; 0: no limit
}

// frame appends a message with its length in front, as RFC 6587 and RFC 5425 call octet counting.
func (s syslog) frame(dst []byte, l Line) []byte {
	m := s.message(l)
	dst = strconv.AppendInt(dst, int64(len(m)), 10)
	dst = append(dst, ' ')
	return append(dst, m...)
}

// packets returns the message of a line, cut to what UDP takes.
func (s syslog) packets(l Line) ([][]byte, error) {
	m := s.message(l)
	if len(m) > s.most {
		m = m[:s.most]
		for len(m) > 0 && !utf8.RuneStart(m[len(m)-1]) {
			m = m[:len(m)-1]
		}
		m = m[:len(m)-1]
	}
	return [][]byte{m}, nil
}

func (s syslog) message(l Line) []byte {
	b := make([]byte, 0, 256+len(l.Text))
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(facilityUser*8+severities[level(l)]), 10)
	b = append(b, ">1 "...)
	b = l.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z") // six digits are the most that is allowed
	app := service(l)
	if l.Stack != "" {
		app = l.Stack + "-" + app
	}
	for _, h := range []struct {
		value string
		most  int
	}{{s.host, 255}, {app, 48}, {l.Replica, 128}, {string(l.Kind), 32}} {
		b = append(b, ' ')
		b = append(b, header(h.value, h.most)...)
	}
	b = append(b, " ["+sdID...)
	b = param(b, "stack", l.Stack)
	b = param(b, "service", service(l))
	b = param(b, "stream", l.Stream())
	for _, f := range known(l) {
		b = param(b, f.name, f.value)
	}
	b = append(b, "] "...)
	return append(b, l.Text...)
}

// header returns a value of the header: printable ASCII without spaces, "-" if it is empty.
func header(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

var sdEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// param appends a parameter of structured data.
func param(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, `="`...)
	b = append(b, sdEscaper.Replace(valid(value))...)
	return append(b, '"')
}
