package porttest

import (
	"fmt"
	"net"
	"testing"
)

func TestAPortIsReturnedOnceAndCanBeBound(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		port := Free(t)
		if seen[port] || port < first || port > last {
			t.Fatalf("got %d, after %v", port, seen)
		}
		seen[port] = true
		if l, err := net.Listen("unix", fmt.Sprintf("@rhumb-test-port-%d", port)); err == nil {
			l.Close()
			t.Errorf("another process could get %d too", port)
		}
	}
	for port := range seen {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	for port := range seen {
		if unused(port) {
			t.Errorf("%d counts as unused while a listener has it", port)
		}
	}
}
