package rollout

import (
	"fmt"
	"testing"

	"rhumb"
)

// thousands is a stack of a hundred services with a hundred replicas each, and a release that changes one of them.
func thousands() (w Wanted, o world) {
	was, now := &rhumb.Stack{Name: "shop"}, &rhumb.Stack{Name: "shop"}
	for i := range 100 {
		s := web(100, "a")
		s.Name = fmt.Sprintf("web%03d", i)
		s.Ports[0].Published = uint16(8000 + i)
		was.Services = append(was.Services, s)
		if i == 50 {
			s.Container.Image = "b"
		}
		now.Services = append(now.Services, s)
	}
	return deploy(42, was, now), serving(41, was)
}

func BenchmarkNext10000(b *testing.B) {
	w, o := thousands()
	b.ReportAllocs()
	for b.Loop() {
		if d := Next(w, Observed(o), noon); len(d.Steps) != 1 {
			b.Fatalf("%d steps", len(d.Steps))
		}
	}
}

func BenchmarkPlan100(b *testing.B) {
	one, two := stack(web(100, "a")), stack(web(100, "b"))
	w, o := deploy(42, one, two), serving(41, one)
	for b.Loop() {
		if n := len(Plan(w, Observed(o), noon)); n != 600 {
			b.Fatalf("%d steps", n)
		}
	}
}
