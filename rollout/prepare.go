package rollout

import "rhumb"

// prepare makes what must be there before anything else: networks, volumes, and addresses that no service has yet. In a
// deployment nothing else changes before, so that an address that can't be bound fails while nothing is lost.
func (t *turn) prepare() {
	for _, name := range t.Missing.Networks {
		t.step(rhumb.Step{Kind: rhumb.StepNetwork, Name: name, Why: "missing"})
	}
	for _, name := range t.Missing.Volumes {
		t.step(rhumb.Step{Kind: rhumb.StepVolume, Name: name, Why: "missing"})
	}
	for _, a := range t.Missing.Addresses {
		t.publish(a.Name, a.Of.Name, "new address")
	}
}

// moveAddresses moves addresses from the services that have them to those that are to have them, once these can answer.
func (t *turn) moveAddresses() {
	for _, a := range t.Addresses {
		holder, held := t.Observed.Published[a.Name]
		switch {
		case !held || holder == a.Of.Name:
		case a.Of.Answers():
			t.publish(a.Name, a.Of.Name, "moves from "+holder)
		default:
			t.wait(a.Of.Name, "takes "+a.Name+" over from "+holder+" once it is ready")
		}
	}
}

func (t *turn) publish(address, service, why string) {
	t.step(rhumb.Step{Kind: rhumb.StepPublish, Name: address, Service: service, Release: t.Wanted.Release, Why: why})
}
