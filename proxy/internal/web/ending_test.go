package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// A request may begin after its connection has gone, at the same moment as the server ends. Nothing synchronizes the
// two here, so that the race detector sees whether that is allowed.
func TestARequestMayBeginWhileTheServerEnds(t *testing.T) {
	s := New(Deps{Log: slog.New(slog.DiscardHandler)})
	for range 100 {
		var both sync.WaitGroup
		both.Go(func() { s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PRI", "*", http.NoBody)) })
		both.Go(s.finish)
		both.Wait()
	}
}

// stalled is a recorder whose Write waits.
type stalled struct {
	*httptest.ResponseRecorder
	writing, release chan struct{}
}

func (s stalled) Write(b []byte) (int, error) {
	close(s.writing)
	<-s.release
	return s.ResponseRecorder.Write(b)
}

func TestTheServersEndWaitsForRequests(t *testing.T) {
	s := New(Deps{Log: slog.New(slog.DiscardHandler)})
	w := stalled{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		s.ServeHTTP(w, httptest.NewRequest("PRI", "*", http.NoBody))
	}()
	<-w.writing
	if s.requests.TryLock() {
		t.Error("finish would not wait for a request that is being answered")
		s.requests.Unlock()
	}
	close(w.release)
	<-answered
	s.finish()
}
