package logstore

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"rhumb"
)

// The fields of a stored line, besides those that its text has. Each line also has _time and _msg, its text.
const (
	fieldStack     = "stack"
	fieldService   = "service"
	fieldStream    = "stream" // stdout or stderr
	fieldContainer = "container"
	fieldReplica   = "replica"
	fieldRelease   = "release"
	fieldKind      = "kind"
	fieldLevel     = "level" // a word; none: unknown
	fieldCut       = "cut"
	fieldTie       = "tie"   // how many lines of the container came before it at the same time
	fieldEpoch     = "epoch" // see hub
	fieldRest      = "rest"  // in JSON: fields that the library doesn't keep as they are

	textField   = "_msg"
	timeField   = "_time"
	streamField = "_stream"
	escape      = "field." // is put before the name of a field that is one of these names, or that begins with it
	streamTags  = 3        // the first fields of a line: they choose the blocks in which it is stored
)

// Limits of a line. The library drops lines of more than 2 MB, with names of more than 128 bytes or more than 2000
// fields.
const (
	maxText   = 1 << 20
	maxFields = 256 << 10 // bytes of all fields: more of them are left out
	maxName   = 100
	maxCount  = 200
)

// levels are the words of the levels, by level.
var levels = append([]string{""}, rhumb.LevelNames()...)

// ours are the names that a field of a text can't have.
var ours = map[string]bool{
	fieldStack: true, fieldService: true, fieldStream: true, fieldContainer: true, fieldReplica: true,
	fieldRelease: true, fieldKind: true, fieldLevel: true, fieldCut: true, fieldTie: true, fieldEpoch: true,
	fieldRest: true,
}

// row is a line as it is stored.
type row struct {
	rhumb.LogLine
	tie uint64
}

// compare orders rows by time. Those of one container at the same time are in the order in which they were taken.
func (r *row) compare(o *row) int {
	if c := r.Time.Compare(o.Time); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(r.Stack, o.Stack), strings.Compare(r.Service, o.Service),
		strings.Compare(r.Replica, o.Replica), strings.Compare(r.Container, o.Container), cmp.Compare(r.tie, o.tie))
}

// encoder makes fields of lines. It keeps what it made, for the next line.
type encoder struct {
	fields []logstorage.Field
	names  []string // of the last line's own fields, in order: the next line often has the same
}

// encode returns the fields of a line, until it is called again. The line's text must have been cut.
func (e *encoder) encode(l *rhumb.LogLine, tie uint64, epoch string) []logstorage.Field {
	e.fields = append(e.fields[:0], logstorage.Field{Name: fieldStack, Value: l.Stack},
		logstorage.Field{Name: fieldService, Value: l.Service}, logstorage.Field{Name: fieldStream, Value: l.Stream()})
	e.add(textField, l.Text)
	e.add(fieldContainer, l.Container)
	e.add(fieldCut, number(int64(l.Cut)))
	e.add(fieldEpoch, epoch)
	e.add(fieldKind, string(l.Kind))
	e.add(fieldLevel, l.Level.String())
	e.add(fieldRelease, number(int64(l.Release)))
	e.add(fieldReplica, l.Replica)
	e.add(fieldTie, number(int64(tie)))
	e.addAll(l.Fields)
	return e.fields
}

// add appends a field, unless it is empty: the library doesn't keep those.
func (e *encoder) add(name, value string) {
	if value != "" {
		e.fields = append(e.fields, logstorage.Field{Name: name, Value: value})
	}
}

// sort makes names those of some fields, in order. The library copies less if lines have theirs in the same order.
func (e *encoder) sort(fields map[string]string) {
	same := len(e.names) == len(fields)
	for _, name := range e.names {
		if _, ok := fields[name]; !ok || !same {
			same = false
			break
		}
	}
	if !same {
		e.names = slices.AppendSeq(e.names[:0], maps.Keys(fields))
		slices.Sort(e.names)
	}
}

// addAll appends a line's own fields.
func (e *encoder) addAll(fields map[string]string) {
	e.sort(fields)
	rest, size := map[string][]byte(nil), 0
	for i, name := range e.names {
		value := fields[name]
		if size += len(name) + len(value); size > maxFields {
			break
		}
		stored := name
		if ours[name] || strings.HasPrefix(name, escape) || strings.HasPrefix(name, "_") {
			stored = escape + name
		}
		if value != "" && name != "" && len(stored) <= maxName && i < maxCount {
			e.add(stored, value)
			continue
		}
		if rest == nil {
			rest = map[string][]byte{}
		}
		rest[strconv.Quote(name)] = []byte(value)
	}
	if rest != nil {
		b, _ := json.Marshal(rest) // a map of strings and bytes: it can't fail
		e.add(fieldRest, string(b))
	}
}

// number returns a number in decimal, and "" for 0.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// decode calls yield for each row of a block, until it returns false. The rows keep no reference to the block.
func decode(db *logstorage.DataBlock, yield func(row) bool) {
	times, ok := db.GetTimestamps(nil)
	if !ok {
		return
	}
	columns := db.GetColumns(false)
	last := make([]string, len(columns)) // the values of the row before: most are the same
	for i, ns := range times {
		r := row{LogLine: rhumb.LogLine{Time: time.Unix(0, ns).UTC()}}
		for j := range columns {
			v := columns[j].Values[i]
			if v == "" {
				continue
			}
			if last[j] != v {
				last[j] = strings.Clone(v)
			}
			r.set(columns[j].Name, last[j])
		}
		if !yield(r) {
			return
		}
	}
}

// set sets one field of a row.
func (r *row) set(name, value string) {
	switch name {
	case textField:
		r.Text = value
	case fieldStack:
		r.Stack = value
	case fieldService:
		r.Service = value
	case fieldStream:
		r.Stderr = value == "stderr"
	case fieldContainer:
		r.Container = value
	case fieldReplica:
		r.Replica = value
	case fieldRelease:
		r.Release, _ = strconv.Atoi(value)
	case fieldKind:
		r.Kind = rhumb.LineKind(value)
	case fieldLevel:
		r.Level, _ = rhumb.ParseLevel(value) // another word: unknown
	case fieldCut:
		r.Cut, _ = strconv.Atoi(value)
	case fieldTie:
		r.tie, _ = strconv.ParseUint(value, 10, 64)
	case fieldRest:
		r.setRest(value)
	default:
		if !strings.HasPrefix(name, "_") && name != fieldEpoch {
			r.setField(strings.TrimPrefix(name, escape), value)
		}
	}
}

// setField sets one field of the text.
func (r *row) setField(name, value string) {
	if r.Fields == nil {
		r.Fields = map[string]string{}
	}
	r.Fields[strings.Clone(name)] = value
}

// setRest sets the fields of the text that the library doesn't keep as they are.
func (r *row) setRest(value string) {
	var rest map[string][]byte
	if json.Unmarshal([]byte(value), &rest) != nil {
		return
	}
	for quoted, v := range rest {
		if name, err := strconv.Unquote(quoted); err == nil {
			r.setField(name, string(v))
		}
	}
}
