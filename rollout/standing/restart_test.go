package standing

import (
	"testing"
	"time"

	"rhumb"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// ended returns a replica that ran for a time and exited at noon.
func ended(ran time.Duration, code int) rhumb.Replica {
	return rhumb.Replica{State: rhumb.StateExited, ExitCode: code, Started: noon.Add(-ran), Finished: noon}
}

func TestOnlyAJobThatExitedWithZeroInTimeIsCompleted(t *testing.T) {
	job := rhumb.Service{Job: true, Ready: rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: time.Minute}}
	change := func(do func(r *rhumb.Replica)) rhumb.Replica {
		r := ended(time.Second, 0)
		do(&r)
		return r
	}
	for name, c := range map[string]struct {
		def  rhumb.Service
		r    rhumb.Replica
		want bool
	}{
		"in time":           {job, ended(59*time.Second, 0), true},
		"too late":          {job, ended(time.Minute, 0), false},
		"failed":            {job, ended(time.Second, 1), false},
		"not a job":         {rhumb.Service{}, ended(time.Second, 0), false},
		"running":           {job, rhumb.Replica{State: rhumb.StateRunning, Started: noon}, false},
		"never started":     {job, change(func(r *rhumb.Replica) { r.Started = time.Time{} }), false},
		"out of memory":     {job, change(func(r *rhumb.Replica) { r.OOM = true }), false},
		"could not start":   {job, change(func(r *rhumb.Replica) { r.Error = "no such file" }), false},
		"without any limit": {rhumb.Service{Job: true}, ended(time.Hour, 0), true},
	} {
		if got := Completed(&c.def, c.r); got != c.want {
			t.Errorf("%s: completed is %v, want %v", name, got, c.want)
		}
	}
}

func TestADeadReplicaIsStartedAgainAfterItsBackOff(t *testing.T) {
	restart := func(c rhumb.RestartCondition, delay time.Duration, most int) rhumb.Service {
		return rhumb.Service{Restart: rhumb.Restart{Condition: c, Delay: delay, MaxAttempts: most}}
	}
	crashed := func(ran time.Duration, times int) rhumb.Replica {
		r := ended(ran, 1)
		r.Restarts = times
		return r
	}
	running := rhumb.Replica{State: rhumb.StateRunning, Started: noon}
	always := restart(rhumb.RestartAny, 0, 0)
	for name, c := range map[string]struct {
		def   rhumb.Service
		r     rhumb.Replica
		after time.Duration // 0: it stays as it is
	}{
		"the first crash":                {always, crashed(time.Second, 0), time.Second},
		"the wait doubles":               {always, crashed(time.Second, 3), 8 * time.Second},
		"up to a minute":                 {always, crashed(time.Second, 60), time.Minute},
		"it ran well":                    {always, crashed(time.Minute, 9), time.Second},
		"a delay of its own":             {restart(rhumb.RestartAny, 7*time.Second, 0), crashed(0, 3), 7 * time.Second},
		"it runs":                        {always, running, 0},
		"never again":                    {restart(rhumb.RestartNone, 0, 0), crashed(time.Second, 0), 0},
		"no attempt left":                {restart(rhumb.RestartAny, 0, 3), crashed(time.Second, 3), 0},
		"exited with 0, any":             {always, ended(time.Second, 0), time.Second},
		"exited with 0, only on failure": {restart(rhumb.RestartOnFailure, 0, 0), ended(time.Second, 0), 0},
	} {
		want := time.Time{}
		if c.after > 0 {
			want = noon.Add(c.after)
		}
		if got := RetryAt(&c.def, c.r); !got.Equal(want) {
			t.Errorf("%s: started again at %s, want %s", name, got, want)
		}
	}
}

func TestTheEarliestOfTwoTimesIgnoresNone(t *testing.T) {
	none, later := time.Time{}, noon.Add(time.Second)
	for _, c := range []struct{ a, b, want time.Time }{
		{none, none, none}, {noon, none, noon}, {none, noon, noon}, {noon, later, noon}, {later, noon, noon},
	} {
		if got := Earliest(c.a, c.b); !got.Equal(c.want) {
			t.Errorf("of %s and %s: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}
