package why

import (
	"fmt"
	"maps"
	"slices"

	"rhumb"
	"rhumb/observe/why/changepoint"
)

// maxServices bounds the services of a stack that are looked at as dependencies.
const maxServices = 60

// dependencyFinder finds what services depend on.
type dependencyFinder struct{ *findings }

// dependencies finds services that others of their stack don't get from what they need: they show signs of it, or the
// others' lines name them. No record says which service depends on which.
func (f dependencyFinder) dependencies() {
	all := f.stacks()
	for _, stack := range slices.Sorted(maps.Keys(all)) {
		services := all[stack]
		for _, s := range services[:min(len(services), maxServices)] {
			f.dependency(stack, s, services)
			f.external(key{stack: stack, service: s}, services)
		}
	}
}

// uses are what a service that has more to do than usual needs more of.
var uses = []struct {
	signal
	rule changepoint.Rule
	show func(float64) string
	what string
}{{cpu, moreCPU, number, "CPUs"}, {diskUse, moreDiskUse, bytes, "of disk traffic a second"}}

// dependency adds a service as a dependency if something speaks for that.
func (f dependencyFinder) dependency(stack, service string, services []string) {
	k := key{stack: stack, service: service}
	h := &happening{as: weak, effect: true}
	h.Kind, h.Stack, h.Service = rhumb.HappenedDependency, stack, service
	note := func(force float64, text string, ev rhumb.Evidence) {
		if h.At.IsZero() || ev.At.Before(h.At) {
			h.At, h.began = ev.At, ev.At
		}
		if force > h.force {
			h.force, h.Text = force, text
		}
		h.evidence = append(h.evidence, ev)
	}
	for _, t := range f.troubles {
		if t.stack != stack || t.service != service {
			continue
		}
		switch t.symptom {
		case slow, failed, lost, down, sick:
			note(0.8, fmt.Sprintf("%s, on which others depend: %s", title(stack, service), t.phrase), t.evidence)
		}
	}
	for _, use := range uses {
		for _, c := range f.changes(use.signal, k, use.rule) {
			text := fmt.Sprintf("%s needed %s %s, %s before", title(stack, service), use.show(c.Is), use.what, use.show(c.Was))
			note(0.55, text, f.proof(use.signal, k, c, text))
		}
	}
	seen := false
	for _, other := range services {
		if kind := f.mentions(stack, other, service); kind != nil && other != service {
			seen = true
			note(0.85, fmt.Sprintf("%s didn't answer %s as before", title(stack, service), other),
				newLines(key{stack: stack, service: other}, kind))
		}
	}
	if h.At.IsZero() {
		return
	}
	if seen && len(h.evidence) > 1 {
		h.force = 1
	}
	f.happen(h)
}

// external adds the hosts outside of the stack from which a service had no answer.
func (f dependencyFinder) external(k key, services []string) {
	found := f.hosts(k)
	for _, host := range slices.Sorted(maps.Keys(found)) {
		if slices.Contains(services, host) {
			continue
		}
		h := f.happen(&happening{force: 0.9, as: weak, effect: true})
		h.Kind, h.At, h.Stack = rhumb.HappenedDependency, found[host].at, k.stack
		h.services, h.began = []string{k.service}, found[host].at
		h.Text = fmt.Sprintf("%s, which %s calls, became slow or failed", host, title(k.stack, k.service))
		h.evidence = append(h.evidence, newLines(k, found[host]))
	}
}
