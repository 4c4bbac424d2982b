package rhumb

import (
	"cmp"
	"context"
	"iter"
	"time"
)

// LogOptions chooses log lines. The zero value is all of them.
type LogOptions struct {
	Follow       bool
	Tail         int // the last n lines; 0: all; negative: none of the old ones
	Since, Until time.Time
}

// LogLine is one line that a replica wrote, without its line end. What LogReader returns has no fields from Container
// on.
type LogLine struct {
	Time    time.Time
	Stack   string
	Service string
	Replica string // its name
	Stderr  bool   `json:",omitzero"`
	Text    string // escape sequences and bytes that aren't UTF-8 are as they were written

	Container string            `json:",omitzero"` // the engine's ID of the replica
	Release   int               `json:",omitzero"` // of the replica; 0: it has none
	Kind      LineKind          `json:",omitzero"`
	Level     Level             `json:",omitzero"`
	Fields    map[string]string `json:",omitzero"` // of a line in JSON or logfmt, by name; nested names have dots
	Cut       int               `json:",omitzero"` // how many bytes of Text are missing at its end
}

// Stream returns the name of the stream on which the line was written: "stdout" or "stderr".
func (l *LogLine) Stream() string {
	if l.Stderr {
		return "stderr"
	}
	return "stdout"
}

// LineKind is what wrote a line.
type LineKind string

// The kinds of lines.
const (
	LineOutput LineKind = ""       // a replica, job, check, one-off or pre_start hook, on its standard streams
	LineHook   LineKind = "hook"   // a post_start or pre_stop hook, inside a replica
	LineAccess LineKind = "access" // the proxy: a request to a route
	LineEvent  LineKind = "event"  // the daemon: an event of the stack
	LineDaemon LineKind = "daemon" // the daemon's own log; it has no stack
	LineProxy  LineKind = "proxy"  // the proxy's own log; it has no stack
)

// Level is how serious a line is, as its text says.
type Level int8

// The levels, in order.
const (
	LevelUnknown Level = iota
	LevelTrace
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
	LevelFatal
)

// Observer reads what is kept of the stacks' logs, also of replicas that are gone. It changes nothing.
type Observer interface {
	// Lines returns the lines that q chooses, oldest first, and with q.Follow those that are written from now on, until
	// ctx ends. The sequence ends after its first error.
	// Invalid: q.Grep or q.Query can't be read. NotFound: nothing is kept of the stack. Unavailable: the process that
	// keeps logs doesn't answer.
	Lines(ctx context.Context, q LogQuery) iter.Seq2[LogLine, error]
	// LogCounts counts the lines that q chooses, by service and release. Its errors are those of Lines.
	LogCounts(ctx context.Context, q LogQuery) ([]LogCount, error)
}

// LogQuery chooses kept lines. A line must match all that is set; the zero value chooses all output, hook and
// access lines.
type LogQuery struct {
	LogOptions
	Stack    string     `json:",omitzero"`
	Services []string   `json:",omitzero"` // any of these
	Replica  string     `json:",omitzero"` // a replica's name, or the beginning of its container's ID
	Release  int        `json:",omitzero"`
	Kinds    []LineKind `json:",omitzero"` // any of these; none: output, hook and access lines
	Stream   string     `json:",omitzero"` // "stdout" or "stderr"; "": both
	Level    Level      `json:",omitzero"` // at least this level
	Grep     string     `json:",omitzero"` // a regular expression (RE2) that the text matches
	Query    string     `json:",omitzero"` // in LogsQL
	Around   int        `json:",omitzero"` // also so many lines of the same replica before and after each that Grep finds
}

// LogCount counts the lines of one service in one release.
type LogCount struct {
	Stack   string
	Service string
	Release int           `json:",omitzero"`
	Lines   int64         // kept
	Bytes   int64         // of their texts
	Errors  int64         // those of LevelError or more
	Dropped int64         `json:",omitzero"` // lines that could not be kept
	First   time.Time     // of the earliest kept line
	Last    time.Time     // of the latest
	Start   time.Time     // of the histogram
	Step    time.Duration // the width of each bar
	Bars    []int64       // lines per step
}

// LogForwarding reports how the forwarding of kept lines to other systems goes.
type LogForwarding interface {
	// LogDestinations returns the systems to which all stacks' lines are sent as well, in the order of the
	// configuration; none if there are none. Unavailable: the process that keeps logs doesn't answer.
	LogDestinations(ctx context.Context) ([]LogDestination, error)
}

// LogDestination is another system to which lines are sent. Its numbers have been counted since its queue was created.
type LogDestination struct {
	URL          string    // without user, password and parameters
	Sent         int64     // lines that the receiver took
	Lost         int64     // lines without room in the queue, damaged lines, and lines refused for good
	WaitingLines int64     // in the queue on disk; a batch that is being sent counts
	WaitingBytes int64     // of these lines, on disk
	FailingSince time.Time `json:",omitzero"` // zero: the latest attempt succeeded, or there was none
	LastError    string    `json:",omitzero"` // also one that has passed
	LastErrorAt  time.Time `json:",omitzero"`
}

// LogWriter is a container of rhumb's that writes lines: a replica, or a one-off for a hook, a check, a job or a
// command. It may also be a file in which a process of rhumb's own writes lines. LogWriters lists the containers, dead
// ones too until they are removed.
type LogWriter struct {
	Line     LogLine   // what all its lines have: Stack, Service, Replica, Container, Release, Kind
	Started  time.Time // zero: not yet
	Finished time.Time // zero: it runs
	File     string    // the file in which a json-file driver keeps its lines; "": only LogReader has them
	TTY      bool      // it has one stream
}

// LogWriters is an Engine that knows where its containers' lines are.
type LogWriters interface {
	// Writers returns all containers of rhumb's.
	Writers(ctx context.Context) ([]LogWriter, error)
}

// LogLimits bound what is kept of one stack's lines.
type LogLimits struct {
	Keep time.Duration // lines older than this are removed; 0: DefaultLogLimits
	Size int64         // bytes on disk; 0: DefaultLogLimits
}

// OrDefault returns l with DefaultLogLimits in place of zeros.
func (l LogLimits) OrDefault() LogLimits {
	return LogLimits{Keep: cmp.Or(l.Keep, DefaultLogLimits.Keep), Size: cmp.Or(l.Size, DefaultLogLimits.Size)}
}

// DefaultLogLimits are those of a stack that sets none.
var DefaultLogLimits = LogLimits{Keep: 30 * 24 * time.Hour, Size: 1 << 30}
