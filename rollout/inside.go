package rollout

import "rhumb"

// This file has the steps by which the services of a stack find each other. They are added after a decision has its
// conclusion: no conclusion waits for them, but AddressesFirst keeps a deployment from being concluded.

// address adds the step that brings the service addresses in the table up to date.
func (t *turn) address() {
	if t.Observed.StaleAddresses {
		t.step(rhumb.Step{Kind: rhumb.StepAddress})
	}
}

// name adds a step for each replica whose hosts file is out of date.
func (t *turn) name() {
	for i := range t.Observed.Replicas {
		if r := &t.Observed.Replicas[i]; t.Observed.StaleNames[r.ID] {
			t.about(rhumb.StepNames, r, "")
		}
	}
}
