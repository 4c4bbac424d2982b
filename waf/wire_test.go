package waf

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"rhumb"
)

var question = rhumb.Inspection{Paranoia: 2, Score: 5, Without: []int{942100, 200002},
	Client: netip.MustParseAddr("2001:db8::1"), Method: "POST", Target: "/a?\xff\x00", Proto: "HTTP/1.1", Host: "a.test",
	Fields: []rhumb.HeaderField{{Name: "A", Value: "\x80b"}, {Name: "A"}}, Body: []byte("\x00\xff"), Partial: true}

var answer = rhumb.Finding{Attack: true, Score: 15,
	Rules: []rhumb.WAFMatch{{ID: 942100, Text: "SQL", Where: "ARGS:\xff"}}}

func TestQuestionsAndAnswersArriveAsTheyWere(t *testing.T) {
	for _, q := range []rhumb.Inspection{question, {}} {
		message := seal(appendInspection(make([]byte, prefixSize), &q), 7)
		number, content, err := read(bytes.NewReader(message), nil)
		if err != nil || number != 7 {
			t.Fatal(number, err)
		}
		if got, err := inspectionOf(content); err != nil || !reflect.DeepEqual(got, q) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, q)
		}
	}
	for _, f := range []rhumb.Finding{answer, {}} {
		if got, err := findingOf(appendFinding(nil, &f)); err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, f)
		}
	}
}

func TestABrokenMessageIsAnError(t *testing.T) {
	whole := appendInspection(nil, &question)
	for n := range whole {
		if _, err := inspectionOf(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are a question", n, len(whole))
		}
	}
	if _, err := inspectionOf(append(whole, 0)); err == nil {
		t.Error("there is something behind a question")
	}
	if _, _, err := read(strings.NewReader("\xff\xff\xff\xff12345678"), nil); err == nil {
		t.Error("a message of 4 GB is taken")
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(appendInspection(nil, &question))
	f.Add(appendFinding(nil, &answer))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := inspectionOf(b); err == nil {
			again, err := inspectionOf(appendInspection(nil, &q))
			if err != nil || !reflect.DeepEqual(again, q) {
				t.Errorf("%+v becomes %+v, %v", q, again, err)
			}
		}
		if a, err := findingOf(b); err == nil {
			again, err := findingOf(appendFinding(nil, &a))
			if err != nil || !reflect.DeepEqual(again, a) {
				t.Errorf("%+v becomes %+v, %v", a, again, err)
			}
		}
	})
}
