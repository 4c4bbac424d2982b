package protocol

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// elastic writes bulk requests of Elasticsearch and OpenSearch. Each line has an ID of its own, so a line that is sent
// twice is kept once.
type elastic struct{ host, index, queue string }

func (elastic) contentType() string { return "application/x-ndjson" }

func (elastic) retry(status int) bool { return status == 408 || status == 429 || status >= 500 }

func (e elastic) encode(lines []Line) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b) // ends each value with a line end
	for _, l := range lines {
		id := e.queue + "-" + strconv.FormatUint(l.Number, 10)
		for _, v := range []any{
			map[string]any{"create": map[string]string{"_index": e.index, "_id": id}}, // data streams take nothing else
			e.document(l),
		} {
			if err := enc.Encode(v); err != nil {
				panic(err) // strings and numbers always encode
			}
		}
	}
	return []byte(b.String())
}

// document returns a line as Elasticsearch keeps it. The line's own fields are flattened in one object, so that they
// can't contradict each other's types or replace ours.
func (e elastic) document(l Line) map[string]any {
	d := map[string]any{
		"@timestamp": l.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"),
		"message":    valid(l.Text),
		"service":    service(l),
		"stream":     l.Stream(),
	}
	if e.host != "" {
		d["host"] = map[string]string{"name": e.host}
	}
	if l.Stack != "" {
		d["stack"] = l.Stack
	}
	for _, f := range known(l) {
		d[f.name] = valid(f.value)
	}
	if len(l.Fields) > 0 {
		own := map[string]string{}
		for name, value := range l.Fields {
			if name != "" {
				own[valid(name)] = valid(value)
			}
		}
		d["fields"] = own
	}
	return d
}

// accept looks at the status of each line. A line that is there already was created by an earlier request.
func (e elastic) accept(lines []Line, answer []byte) Result {
	var bulk struct {
		Items []map[string]struct {
			Status int             `json:"status"`
			Error  json.RawMessage `json:"error"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &bulk); err != nil || len(bulk.Items) != len(lines) {
		return Result{Left: lines, Err: errors.New("the receiver's answer isn't that of a bulk request: " + excerpt(answer))}
	}
	var r Result
	for i, item := range bulk.Items {
		for _, it := range item { // one, by the name of the action
			switch {
			case it.Status/100 == 2 || it.Status == 409:
			case e.retry(it.Status) || misconfigured(it.Status):
				r.Left = append(r.Left, lines[i])
				r.Err = errors.New("the receiver can't take a line now: " + strconv.Itoa(it.Status) + " " + excerpt(it.Error))
			default:
				r.Refused++
				if r.Left == nil {
					r.Err = errors.New("the receiver refuses a line: " + strconv.Itoa(it.Status) + " " + excerpt(it.Error))
				}
			}
		}
	}
	return r
}
