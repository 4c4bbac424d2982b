package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// stalled is an answer that nobody takes before it is released.
type stalled struct {
	*httptest.ResponseRecorder
	release chan struct{}
}

func (s stalled) Write(b []byte) (int, error) {
	<-s.release
	return s.ResponseRecorder.Write(b)
}

// A request may begin after its connection has gone, at the same moment as the server ends. Between the two nothing is
// synchronized here, so that the race detector sees whether they may meet.
func TestARequestMayBeginWhileTheServerEnds(t *testing.T) {
	p, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := stalled{httptest.NewRecorder(), make(chan struct{})}
	served, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(served)
		p.http.ServeHTTP(w, httptest.NewRequest("PRI", "*", http.NoBody))
	}()
	time.Sleep(50 * time.Millisecond) // it has begun, or else it begins in the middle of the end
	go func() {
		defer close(ended)
		p.http.finish()
	}()
	time.Sleep(50 * time.Millisecond)
	close(w.release)
	<-served
	<-ended
}
