package run

import (
	"testing"
	"time"

	"rhumb"
)

func TestAStepWithAnotherReasonIsTheSameWork(t *testing.T) {
	a := rhumb.Step{Kind: rhumb.StepStart, Service: "web", Release: 2, Slot: 1, Why: "image changed"}
	b := a
	b.Why = "died"
	f := flights{steps: map[rhumb.Step]bool{}}
	if f.add(a); !f.has(b) {
		t.Error("a changed reason has the step begun twice")
	}
	if f.remove(b); !f.none() {
		t.Error("the step is still under way after it ended")
	}
	now, again := time.Now(), retries{}
	again.failed(a, now)
	if r := again.failed(b, now); r.tries != 2 || again.of(a) != r {
		t.Errorf("a changed reason resets the tries: %+v, %+v", r, again.of(a))
	}
	if again.done(b); again.of(a) != (retry{}) {
		t.Error("its tries are kept after it succeeded")
	}
}

func TestAStepWaitsForTheOneThatItMustNotMeet(t *testing.T) {
	start := rhumb.Step{Kind: rhumb.StepStart, Service: "web", Release: 2, Slot: 1}
	stop := rhumb.Step{Kind: rhumb.StepStop, Service: "web", Release: 1, Slot: 1, Replica: "old"}
	names := rhumb.Step{Kind: rhumb.StepNames, Service: "web", Release: 1, Slot: 1, Replica: "old"}
	for _, c := range []struct {
		name         string
		flying, step rhumb.Step
		waits        bool
	}{
		{"a start in the slot of another release's start", start,
			rhumb.Step{Kind: rhumb.StepStart, Service: "web", Release: 1, Slot: 1}, true},
		{"a start in another slot", start, rhumb.Step{Kind: rhumb.StepStart, Service: "web", Release: 2, Slot: 2},
			false},
		{"a stop in the slot of a start", start, stop, true},
		{"two steps of one replica", stop, rhumb.Step{Kind: rhumb.StepRemove, Service: "web", Slot: 1,
			Replica: "old"}, true},
		{"steps of two replicas of a slot", stop, rhumb.Step{Kind: rhumb.StepRoute, Service: "web", Slot: 1,
			Replica: "new"}, false},
		{"a network that is being removed", rhumb.Step{Kind: rhumb.StepRemoveNetwork, Name: "a"},
			rhumb.Step{Kind: rhumb.StepNetwork, Name: "a"}, true},
		{"a network that is being made", rhumb.Step{Kind: rhumb.StepNetwork, Name: "a"},
			rhumb.Step{Kind: rhumb.StepRemoveNetwork, Name: "a"}, true},
		{"a volume that is being removed", rhumb.Step{Kind: rhumb.StepRemoveVolume, Name: "a"},
			rhumb.Step{Kind: rhumb.StepVolume, Name: "a"}, true},
		{"another network", rhumb.Step{Kind: rhumb.StepRemoveNetwork, Name: "a"},
			rhumb.Step{Kind: rhumb.StepNetwork, Name: "b"}, false},
		{"a replica's route beside addresses that don't know it", rhumb.Step{Kind: rhumb.StepAddress},
			rhumb.Step{Kind: rhumb.StepRoute, Service: "web", Slot: 1, Replica: "new"}, true},
		{"the removal of a network beside addresses in it", rhumb.Step{Kind: rhumb.StepAddress},
			rhumb.Step{Kind: rhumb.StepRemoveNetwork, Name: "a"}, true},
		{"a start beside addresses", rhumb.Step{Kind: rhumb.StepAddress}, start, false},
		{"addresses beside a route", rhumb.Step{Kind: rhumb.StepRoute, Service: "web", Slot: 1, Replica: "new"},
			rhumb.Step{Kind: rhumb.StepAddress}, false},
		{"a stop beside the replica's names", names, stop, false},
		{"a start beside names in its slot", names, start, false},
		{"names beside a stop of the replica", stop, names, false},
		{"names beside a start in the slot", start, names, false},
		{"a volume of that name", rhumb.Step{Kind: rhumb.StepRemoveNetwork, Name: "a"},
			rhumb.Step{Kind: rhumb.StepVolume, Name: "a"}, false},
	} {
		f := flights{steps: map[rhumb.Step]bool{}}
		f.add(c.flying)
		if got := f.block(c.step); got != c.waits {
			t.Errorf("%s: waits %t, want %t", c.name, got, c.waits)
		}
	}
}

func TestOnlyStepsThatCreateHoldThePhaseBack(t *testing.T) {
	for kind, making := range map[rhumb.StepKind]bool{
		rhumb.StepStart: true, rhumb.StepRun: true, rhumb.StepNetwork: true, rhumb.StepRoute: true,
		rhumb.StepDrain: true, rhumb.StepAddress: true, rhumb.StepNames: false,
		rhumb.StepStop: false, rhumb.StepRemove: false, rhumb.StepRecord: false, rhumb.StepCheck: false,
	} {
		f := flights{steps: map[rhumb.Step]bool{}}
		f.add(rhumb.Step{Kind: kind})
		if f.making() != making {
			t.Errorf("%s: %t, want %t", kind, f.making(), making)
		}
	}
}

func TestRetriesWaitTwiceAsLongEachTimeUpToAMinute(t *testing.T) {
	step, now, again := rhumb.Step{Kind: rhumb.StepNetwork, Name: "a"}, time.Now(), retries{}
	var waits []time.Duration
	for range 10 {
		waits = append(waits, again.failed(step, now).at.Sub(now))
	}
	for i, w := range waits[1:] {
		if want := min(time.Minute, 2*waits[i]); w != want {
			t.Errorf("wait %d is %s, want %s", i+2, w, want)
		}
	}
	if waits[0] != 400*time.Millisecond || waits[9] != time.Minute {
		t.Errorf("the first wait is %s, the last %s", waits[0], waits[9])
	}
}
