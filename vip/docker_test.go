package vip

import (
	"testing"

	"github.com/vishvananda/netns"

	"rhumb"
)

func TestAServiceAddressAnswersToCallersEverywhere(t *testing.T) {
	needMachine(t)
	l := newLab(t)
	a, b := l.start("a"), l.start("b")
	l.ready(a, b)
	l.serve([]rhumb.Endpoint{a.endpoint, b.endpoint})
	for _, from := range []struct {
		name string
		ns   netns.NsHandle
	}{{"the replica itself", a.ns}, {"another replica", b.ns}, {"the machine", netns.None()}} {
		c, seen := client(from.ns), map[string]int{}
		for range 20 {
			said, err := say(c, l.url(0))
			if err != nil {
				t.Fatalf("from %s: %v", from.name, err)
			}
			seen[said]++
		}
		if seen["a"] != 10 || seen["b"] != 10 {
			t.Errorf("from %s: %v, want 10 of each", from.name, seen)
		}
	}
}
