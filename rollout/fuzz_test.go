package rollout

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"rhumb"
	"rhumb/rollout/diff"
)

// FuzzNextSurvivesAnyWorld calls Next with worlds that can't come to be. It must not panic, it must decide the same way
// twice, and it must neither stop a replica that is in the table nor touch a one-off.
func FuzzNextSurvivesAnyWorld(f *testing.F) {
	for i := range 200 {
		f.Add(binary.LittleEndian.AppendUint64(nil, uint64(i)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var seed [32]byte
		copy(seed[:], data)
		w, o, now := anyWorld(rand.New(rand.NewChaCha8(seed)))
		d := Next(w, o, now)
		if again := Next(w, o, now); !reflect.DeepEqual(d, again) {
			t.Fatalf("%v\n%v", d, again)
		}
		if !d.Wake.IsZero() && !d.Wake.After(now) {
			t.Fatalf("wake at %s, it is %s", d.Wake, now)
		}
		slots := map[string]int{}
		for _, r := range o.Replicas {
			slots[r.ID] = r.Slot
		}
		for _, s := range d.Steps {
			if _, routed := o.Routes[s.Replica]; routed && (s.Kind == rhumb.StepStop || s.Kind == rhumb.StepRemove) {
				t.Fatalf("%s, which is routed", s)
			}
			if s.Replica != "" && slots[s.Replica] <= 0 && s.Kind != rhumb.StepNames {
				t.Fatalf("%s, which is a one-off", s)
			}
		}
		Plan(w, o, now)
		diff.Stacks(w.Previous, w.Model)
	})
}

// anyWorld returns stacks with cycles, missing dependencies and duplicate addresses, and replicas in any state.
func anyWorld(rng *rand.Rand) (Wanted, Observed, time.Time) {
	now := noon.Add(time.Duration(rng.IntN(100)) * time.Second)
	w := Wanted{Stack: "shop", Release: rng.IntN(4), Mode: Mode(rng.IntN(3)), RunJobs: rng.IntN(2) == 0,
		Volumes: rng.IntN(2) == 0}
	if rng.IntN(5) > 0 {
		w.Model = anyStack(rng)
	}
	if rng.IntN(3) > 0 {
		w.Previous = anyStack(rng)
	}
	o := Observed{Ready: map[string]time.Time{}, Recorded: map[string]bool{}, Routes: map[string]Route{},
		Published: map[string]string{}, Stopping: map[string]bool{},
		Severed: map[string]bool{}, Segments: map[string]bool{"n1": rng.IntN(2) == 0, "n2": rng.IntN(2) == 0}}
	for i := range rng.IntN(20) {
		r := anyReplica(rng, w, fmt.Sprintf("r%d", i), now)
		o.Replicas = append(o.Replicas, r)
		if rng.IntN(2) == 0 {
			o.Ready[r.ID] = now.Add(-time.Duration(rng.IntN(100)) * time.Second)
		}
		if rng.IntN(2) == 0 {
			o.Routes[r.ID] = Route{Draining: rng.IntN(2) == 0,
				Since: now.Add(-time.Duration(rng.IntN(20)) * time.Second), Open: rng.IntN(2)}
		}
		o.Severed[r.ID] = rng.IntN(8) == 0
		o.Recorded[r.ID], o.Stopping[r.ID] = rng.IntN(5) == 0, rng.IntN(8) == 0
		if rng.IntN(5) == 0 {
			w.Failures = append(w.Failures,
				rhumb.Failure{At: now, Service: r.Service, Slot: r.Slot, Release: r.Release, ID: r.ID,
					Reason: "failed"})
		}
	}
	for range rng.IntN(4) {
		o.Published[fmt.Sprintf("*:%d/tcp", 8000+rng.IntN(3))] = pick(rng, simNames...)
		o.Networks = append(o.Networks, pick(rng, "n1", "n2"))
		o.Volumes = append(o.Volumes, pick(rng, "v1", "v2"))
	}
	o.StaleAddresses, o.AddressesFailed = rng.IntN(4) == 0, rng.IntN(2) == 0
	o.StaleNames = map[string]bool{"r1": true, "gone": true}
	return w, o, now
}

func anyStack(rng *rand.Rand) *rhumb.Stack {
	m := &rhumb.Stack{Name: "shop"}
	for range rng.IntN(6) {
		s := rhumb.Service{Name: pick(rng, simNames...), Replicas: rng.IntN(5) - 1, Job: rng.IntN(5) == 0,
			Order: pick(rng, rhumb.StartFirst, rhumb.StopFirst, ""),
			Drain: time.Duration(rng.IntN(3)) * time.Second}
		s.Container.Image = pick(rng, "x", "y")
		s.Container.NetworkMode = pick(rng, "", "", "service:"+pick(rng, simNames...))
		for range rng.IntN(3) {
			s.Container.Networks = append(s.Container.Networks, rhumb.Attachment{Network: pick(rng, "n1", "n2")})
		}
		s.Update.Parallelism, s.Update.OnFailure = rng.IntN(3), pick(rng, "", rhumb.ActionContinue, rhumb.ActionPause)
		s.Ready.Kind = pick(rng, "", rhumb.ReadyRunning, rhumb.ReadyHTTP)
		s.Restart.Condition = pick(rng, "", rhumb.RestartNone, rhumb.RestartOnFailure)
		if rng.IntN(2) == 0 {
			s.Ports = []rhumb.Port{{Published: uint16(8000 + rng.IntN(3)), Protocol: rhumb.TCP}}
		}
		for range rng.IntN(3) {
			s.DependsOn = append(s.DependsOn,
				rhumb.Dependency{Service: pick(rng, simNames...),
					Condition: pick(rng, rhumb.DependsStarted, rhumb.DependsHealthy, rhumb.DependsCompleted)})
		}
		m.Services = append(m.Services, s)
	}
	m.Networks = []rhumb.Network{{Name: "n1", External: rng.IntN(2) == 0}}
	m.Volumes = []rhumb.Volume{{Name: "v1"}}
	return m
}

func anyReplica(rng *rand.Rand, w Wanted, id string, now time.Time) rhumb.Replica {
	ago := func() time.Time { return now.Add(-time.Duration(rng.IntN(200)) * time.Second) }
	r := rhumb.Replica{ID: id, Stack: "shop", Service: pick(rng, simNames...), Release: rng.IntN(4), Slot: rng.IntN(5),
		Restarts: rng.IntN(100) - 1, Spec: "?",
		State: pick(rng, rhumb.StateCreated, rhumb.StateRunning, rhumb.StateRunning, rhumb.StatePaused,
			rhumb.StateExited, "strange"),
		Health:   pick(rng, rhumb.HealthNone, rhumb.HealthHealthy, rhumb.HealthUnhealthy),
		ExitCode: rng.IntN(2), Joined: pick(rng, "", "", fmt.Sprintf("r%d", rng.IntN(20)))}
	if s := w.Model.Service(r.Service); s != nil && rng.IntN(2) == 0 {
		r.Spec = s.Container.Hash()
	}
	if rng.IntN(3) > 0 {
		r.Created, r.Started = ago(), ago()
	}
	if r.State == rhumb.StateExited && rng.IntN(3) > 0 {
		r.Finished = ago()
	}
	return r
}
