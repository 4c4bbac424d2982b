package protocol

import (
	"encoding/json"
	"strconv"
)

// loki writes requests to Loki's push API in JSON. Only the stack, the service and the stream are labels: each value of
// a label is a stream of its own in Loki, so what changes with releases is structured metadata.
type loki struct {
	host     string
	metadata bool // Loki before 3.0 refuses it
}

type lokiStream struct {
	Stream map[string]string `json:"stream"`
	Values [][]any           `json:"values"`
}

func (loki) contentType() string { return "application/json" }

func (loki) retry(status int) bool { return status == 408 || status == 429 || status >= 500 }

func (loki) accept([]Line, []byte) Result { return Result{} }

func (k loki) encode(lines []Line) []byte {
	type key struct {
		stack, service string
		stderr         bool
	}
	var streams []*lokiStream
	known := map[key]*lokiStream{}
	for _, l := range lines {
		id := key{l.Stack, service(l), l.Stderr}
		s := known[id]
		if s == nil {
			s = &lokiStream{Stream: map[string]string{"service": id.service, "stream": l.Stream()}}
			if l.Stack != "" {
				s.Stream["stack"] = l.Stack
			}
			known[id] = s
			streams = append(streams, s)
		}
		value := []any{strconv.FormatInt(l.Time.UnixNano(), 10), valid(l.Text)}
		if k.metadata {
			value = append(value, k.structured(l))
		}
		s.Values = append(s.Values, value)
	}
	b, err := json.Marshal(map[string]any{"streams": streams})
	if err != nil {
		panic(err) // strings always encode
	}
	return b
}

// structured returns the structured metadata of a line. The line's own fields are not in it: Loki finds them in the
// text.
func (k loki) structured(l Line) map[string]string {
	m := map[string]string{}
	if k.host != "" {
		m["host"] = k.host
	}
	for _, f := range known(l) {
		m[f.name] = valid(f.value)
	}
	return m
}
