package inbound

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// endedWriter is a ResponseWriter that is used no more once its handler has returned, as that of HTTP/2.
type endedWriter struct {
	http.ResponseWriter
	ended bool
}

func (w *endedWriter) SetReadDeadline(time.Time) error {
	if w.ended {
		panic("the handler has returned")
	}
	return nil
}

// A transport may still read the body of a request when its answer has come and its handler has returned.
func TestABodyMayBeReadAfterItsHandlerHasReturned(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("words"))
	r.ProtoMajor = 2
	w := &endedWriter{ResponseWriter: httptest.NewRecorder()}
	p := NewProgress(w, r, Limits{Progress: 1, ProgressTime: time.Second})
	buf := make([]byte, 2)
	if n, err := p.Body().Read(buf); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	p.End()
	w.ended = true
	if n, err := p.Body().Read(buf); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := p.Body().Close(); err != nil {
		t.Error(err)
	}
}
