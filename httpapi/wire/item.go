package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"

	"rhumb"
)

// Item is one line of a stream. Exactly one field is set, and Bytes beside Line. The stream's last line is a result, an
// error or an end.
type Item struct {
	Event      *rhumb.Event         `json:"event,omitempty"`
	Line       *rhumb.LogLine       `json:"line,omitempty"`
	Bytes      []byte               `json:"bytes,omitempty" doc:"the text of the line, if it is not UTF-8"`
	Progress   *rhumb.BuildProgress `json:"progress,omitempty"`
	Deployment *rhumb.Deployment    `json:"deployment,omitempty" doc:"the result of a deploy; the last line"`
	Image      *rhumb.Image         `json:"image,omitempty" doc:"the result of a build; the last line"`
	Error      *Problem             `json:"error,omitempty" doc:"the stream failed; the last line"`
	End        bool                 `json:"end,omitempty" doc:"the stream is complete; the last line"`
}

// NewLine returns the item of a log line.
func NewLine(l rhumb.LogLine) Item {
	if utf8.ValidString(l.Text) {
		return Item{Line: &l}
	}
	text := []byte(l.Text)
	l.Text = ""
	return Item{Line: &l, Bytes: text}
}

// LogLine reports whether the item is a log line, and returns it.
func (it Item) LogLine() (rhumb.LogLine, bool) {
	if it.Line == nil {
		return rhumb.LogLine{}, false
	}
	l := *it.Line
	if len(it.Bytes) > 0 {
		l.Text = string(it.Bytes)
	}
	return l, true
}

// Items reads the items of a stream.
type Items struct{ lines *bufio.Scanner }

// NewItems returns an Items that reads from r. Lines are limited to MaxItem.
func NewItems(r io.Reader) *Items {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), MaxItem)
	return &Items{s}
}

// Next returns the next item. io.ErrUnexpectedEOF: the stream ended without a last item.
func (is *Items) Next() (Item, error) {
	for is.lines.Scan() {
		line := bytes.TrimSpace(is.lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var it Item
		if err := json.Unmarshal(line, &it); err != nil {
			return Item{}, err
		}
		return it, nil
	}
	if err := is.lines.Err(); err != nil {
		return Item{}, err
	}
	return Item{}, io.ErrUnexpectedEOF
}
