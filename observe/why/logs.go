package why

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"rhumb"
)

// lineFinder finds new kinds of lines.
type lineFinder struct{ *findings }

// logs finds kinds of lines that the usual time doesn't have.
func (f lineFinder) logs() {
	for _, k := range f.writers() {
		of := f.lines[k]
		for _, kind := range of.fresh() {
			if fullDisk.MatchString(kind.sample) {
				f.saysFull(k, kind)
			}
			if !kind.loud(of) {
				continue
			}
			f.worse(&trouble{symptom: noisy, stack: k.stack, service: k.service, at: kind.at, size: 0.35,
				phrase:   fmt.Sprintf("%d new lines like %q", kind.since, clip(kind.sample)),
				evidence: newLines(k, kind)})
			if !f.has(k, rhumb.HappenedLog) {
				h := f.happen(&happening{as: noisy, effect: true, force: 0.7})
				h.Kind, h.At, h.began, h.Stack, h.Service = rhumb.HappenedLog, kind.at, kind.at, k.stack, k.service
				h.Text = fmt.Sprintf("%s writes lines never seen before: %q", title(k.stack, k.service), clip(kind.sample))
			}
		}
	}
}

// writers returns what has lines, sorted.
func (f *records) writers() []key { return slices.SortedFunc(maps.Keys(f.lines), key.compare) }

// newLines returns the evidence that a kind of lines is new.
func newLines(k key, kind *lineKind) rhumb.Evidence {
	return rhumb.Evidence{At: kind.at, Text: fmt.Sprintf("%s writes %d lines of a new kind: %q",
		title(k.stack, k.service), kind.since, clip(kind.sample))}
}

// saysFull adds that a disk is full, as a line says, unless the series say so.
func (f lineFinder) saysFull(k key, kind *lineKind) {
	for _, h := range f.happenings {
		if h.Kind == rhumb.HappenedDisk && h.as == filled {
			h.evidence = append(h.evidence, newLines(k, kind))
			h.At, h.began = earliest(h.At, kind.at), earliest(h.began, kind.at)
			return
		}
	}
	h := f.happen(&happening{lasting: true, as: filled, effect: true, force: 0.9})
	h.Kind, h.At, h.began, h.Stack, h.Service = rhumb.HappenedDisk, kind.at, kind.at, k.stack, k.service
	h.Text = fmt.Sprintf("a disk or volume of %s became full", title(k.stack, k.service))
	h.evidence = append(h.evidence, newLines(k, kind))
}

// mentions returns the first new kind of lines in which one service reports that it had no answer from another one;
// nil: there is none.
func (f *records) mentions(stack, from, to string) *lineKind {
	var first *lineKind
	for _, kind := range f.lines[key{stack: stack, service: from}].fresh() {
		if away.MatchString(kind.sample) && names(kind.sample, to) && kind.since >= 3 &&
			(first == nil || kind.at.Before(first.at)) {
			first = kind
		}
	}
	return first
}

// hosts returns the hosts outside of the stacks from which a service had no answer, with the lines that say so.
func (f *records) hosts(k key) map[string]*lineKind {
	found := map[string]*lineKind{}
	for _, kind := range f.lines[k].fresh() {
		if h := host(kind.sample); h != "" && kind.since >= 5 && found[h] == nil {
			found[h] = kind
		}
	}
	return found
}

// stacks returns the services of each stack, sorted, as all records name them.
func (f *records) stacks() map[string][]string {
	found := map[string]map[string]bool{}
	put := func(k key) {
		if k.stack == "" || k.service == "" {
			return
		}
		if found[k.stack] == nil {
			found[k.stack] = map[string]bool{}
		}
		found[k.stack][k.service] = true
	}
	for s := range signals {
		for _, k := range f.keys(s) {
			put(k)
		}
	}
	for k := range f.lines {
		put(k)
	}
	all := map[string][]string{}
	for stack, services := range found {
		all[stack] = slices.SortedFunc(maps.Keys(services), cmp.Compare[string])
	}
	return all
}
