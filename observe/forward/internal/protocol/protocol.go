// Package protocol sends log lines in the protocols of other systems: syslog, GELF, Fluent forward, Loki, OTLP and
// Elasticsearch.
package protocol

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// Line is a line with its number in the queue it comes from.
type Line struct {
	rhumb.LogLine
	Number uint64
}

// Sender sends lines to one receiver. Its methods are for one goroutine.
type Sender interface {
	// Send sends lines and waits for the receiver's answer, as far as the protocol has one. Lines of Left may be
	// passed to it again.
	Send(ctx context.Context, lines []Line) Result
	// Close closes what Send keeps open.
	Close()
}

// Result is what became of the lines passed to Send.
type Result struct {
	Left    []Line        // lines to be sent again
	Refused int           // how many others the receiver refused for good
	Err     error         // why there are Left or Refused lines; without secrets. Nil with Left: send them at once
	After   time.Duration // when the receiver wants to be asked again; 0: it doesn't say
}

// Deps are what a Sender is made of beside its Config.
type Deps struct {
	Host  string // the name of this machine
	Queue string // a unique name of the queue that the lines' numbers are of
}

// Sender returns the sender that a configuration describes. Invalid: a file that it names can't be used.
func (c Config) Sender(d Deps) (Sender, error) {
	tlsConfig, err := c.tlsConfig()
	if err != nil {
		return nil, err
	}
	wire := wire{config: c, tls: tlsConfig}
	switch {
	case c.Protocol == "syslog" && c.UDP:
		return &datagrams{wire: wire, packets: syslog{host: d.Host, most: maxSyslogPacket}.packets}, nil
	case c.Protocol == "syslog":
		return &stream{wire: wire, frame: syslog{host: d.Host}.frame}, nil
	case c.Protocol == "gelf" && c.UDP:
		return &datagrams{wire: wire, packets: gelf{host: d.Host}.packets}, nil
	case c.Protocol == "gelf":
		return &stream{wire: wire, frame: gelf{host: d.Host}.frame}, nil
	case c.Protocol == "fluent":
		return &fluent{wire: wire, host: d.Host}, nil
	case c.Protocol == "loki":
		return newPoster(c, tlsConfig, "", loki{host: d.Host, metadata: c.Metadata}), nil
	case c.Protocol == "otlp":
		return newPoster(c, tlsConfig, "", otlp{host: d.Host}), nil
	default:
		prefix, index := c.splitIndex()
		return newPoster(c, tlsConfig, prefix+"/_bulk?filter_path=errors,items.*.status,items.*.error",
			elastic{host: d.Host, index: index, queue: d.Queue}), nil
	}
}

// service returns the service of a line. Lines that no service wrote have one by their kind: "rhumb-proxy".
func service(l Line) string {
	return cmp.Or(l.Service, "rhumb-"+string(cmp.Or(l.Kind, "output")))
}

// severities are the levels in the numbers of syslog.
var severities = [...]int{6, 7, 7, 6, 4, 3, 2}

// level returns the line's level, LevelUnknown if it isn't in the tables.
func level(l Line) rhumb.Level {
	if l.Level < 0 || int(l.Level) >= len(severities) {
		return rhumb.LevelUnknown
	}
	return l.Level
}

// field is a named value of a line.
type field struct{ name, value string }

// known returns what is known about a line beside its time, text, stack, service, stream and own fields, without empty
// values.
func known(l Line) []field {
	return slices.DeleteFunc([]field{
		{"replica", l.Replica}, {"release", number(l.Release)}, {"container", l.Container},
		{"kind", string(l.Kind)}, {"level", l.Level.String()}, {"cut_bytes", number(l.Cut)},
	}, func(f field) bool { return f.value == "" })
}

// number returns a number's digits, "" for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// valid returns text as UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
