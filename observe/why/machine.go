package why

import (
	"fmt"
	"time"

	"rhumb"
	"rhumb/observe/why/changepoint"
)

// Thresholds of the machine: below them nothing of it is a trouble.
const (
	cpuBusy    = 0.8  // of its CPUs
	memoryHigh = 0.92 // of its memory
	diskLow    = 0.03 // left of a file system
	diskActive = 0.8  // of the time
)

// machineFinder finds changes in the series of the machine.
type machineFinder struct{ *findings }

// machine finds what happened to the machine.
func (f machineFinder) machine() {
	f.hostCPU()
	f.hostMemory()
	for _, s := range []signal{diskLeft, inodesLeft} {
		for _, k := range f.keys(s) {
			f.filling(s, k)
		}
	}
	for _, k := range f.keys(diskBusy) {
		f.busyDisk(k)
	}
}

// host adds a happening of the machine.
func (f machineFinder) host(
	kind rhumb.HappeningKind, as symptom, c changepoint.Change, text string, ev rhumb.Evidence,
) {
	h := f.happen(&happening{until: c.Until, as: as, effect: true, began: c.At})
	h.Kind, h.At, h.Text = kind, c.At, text
	h.evidence = append(h.evidence, ev)
}

// hostCPU finds that the machine's CPUs are busy with something that isn't one of the chosen stacks.
func (f machineFinder) hostCPU() {
	k := key{}
	for _, c := range f.changes(nodeSteal, k, changepoint.Rule{Ratio: 2, Delta: 0.1}) {
		text := fmt.Sprintf("other machines on the same hardware took %s of the machine's CPU time, %s before",
			percent(c.Is), percent(c.Was))
		f.host(rhumb.HappenedHostCPU, hostCPU, c, text, f.proof(nodeSteal, k, c, text))
	}
	for _, c := range f.changes(nodeCPU, k, changepoint.Rule{Ratio: 1.2, Delta: 0.15}) {
		own, hog, most := f.shares(c)
		rise := c.Is - c.Was
		if c.Is < cpuBusy || own > 0.6*rise {
			continue
		}
		text := fmt.Sprintf("the machine's CPUs were busy with something else: %s in use, %s before", percent(c.Is),
			percent(c.Was))
		alone := most > 0.6*rise
		if alone {
			text = fmt.Sprintf("stack %s took the machine's CPUs: %s in use, %s before", hog, percent(c.Is), percent(c.Was))
		}
		f.host(rhumb.HappenedHostCPU, hostCPU, c, text, f.proof(nodeCPU, k, c, text))
		if alone {
			f.happenings[len(f.happenings)-1].hog = hog
		}
	}
}

// shares returns by how much the CPU use of the chosen stack rose in a change, and which other stack's rose most.
func (f machineFinder) shares(c changepoint.Change) (own float64, hog string, most float64) {
	for _, k := range f.keys(stackCPU) {
		points := f.of(stackCPU, k)
		was, _ := mean(points, f.q.Since.Add(-f.usual), f.q.Since)
		is, n := mean(points, c.At.Add(f.over), c.Until)
		if n == 0 {
			is, _ = mean(points, c.At, c.Until)
		}
		switch rise := is - was; {
		case k.stack == f.q.Stack:
			own += max(0, rise)
		case rise > most:
			hog, most = k.stack, rise
		}
	}
	return own, hog, most
}

// hostMemory finds that the machine's memory ran out.
func (f machineFinder) hostMemory() {
	k := key{}
	points := f.of(nodeMemory, k)
	var before []float64
	c := changepoint.Change{}
	for _, p := range points {
		switch {
		case p.Time.Before(f.q.Since):
			before = append(before, p.Value)
		case p.Value >= memoryHigh:
			if c.At.IsZero() {
				c.At = p.Time
			}
			c.Until, c.Is = p.Time, max(c.Is, p.Value)
		}
	}
	c.Was = changepoint.Median(before)
	at, kills := f.counted(nodeOOM, k)
	stalls := f.changes(memoryStall, k, changepoint.Rule{Ratio: 2, Delta: 0.05})
	switch {
	case len(before) == 0 || c.At.IsZero() || c.Is-c.Was < 0.05:
		return
	case kills == 0 && len(stalls) == 0 && c.Is < 0.97:
		return
	}
	if g, ok := changepoint.Grow(points, f.q.Since, 0.05); ok && g.At.Before(c.At) {
		c.At = g.At
	}
	text := fmt.Sprintf("the machine's memory ran out: %s in use, %s before", percent(c.Is), percent(c.Was))
	f.host(rhumb.HappenedHostMemory, hostMemory, c, text, f.proof(nodeMemory, k, c, text))
	h := f.happenings[len(f.happenings)-1]
	h.lasting = true
	if kills > 0 {
		h.evidence = append(h.evidence, rhumb.Evidence{At: at, Text: "the kernel killed processes for memory",
			Expr: f.chosen(nodeOOM, k), Is: float64(kills)})
	}
	for _, s := range stalls {
		h.evidence = append(h.evidence, f.proof(memoryStall, k, s, fmt.Sprintf("tasks waited for memory for %s of the time",
			percent(min(1, s.Is)))))
	}
}

// filling finds that a file system became full.
func (f machineFinder) filling(s signal, k key) {
	var before []float64
	c := changepoint.Change{Is: 1}
	for _, p := range f.of(s, k) {
		switch {
		case p.Time.Before(f.q.Since):
			before = append(before, p.Value)
		case p.Value <= diskLow:
			if c.At.IsZero() {
				c.At = p.Time
			}
			c.Until = p.Time
		}
		if !p.Time.Before(f.q.Since) {
			c.Is = min(c.Is, p.Value)
		}
	}
	c.Was = changepoint.Median(before)
	if len(before) == 0 || c.At.IsZero() || c.Was < c.Is+0.01 {
		return
	}
	what := "room"
	if s == inodesLeft {
		what = "inodes"
	}
	text := fmt.Sprintf("the disk of %s became full: %s of its %s left, %s before", k.other, percent(c.Is), what,
		percent(c.Was))
	ev := f.proof(s, k, c, text)
	ev.Expr = fmt.Sprintf("(%s) and on (path) rhumb_node_disk_bytes{path=%q}", f.chosen(s, k), k.other)
	f.host(rhumb.HappenedDisk, filled, c, text, ev)
	f.happenings[len(f.happenings)-1].lasting = true
	f.worse(&trouble{symptom: filled, at: c.At, size: 0.6, phrase: text, evidence: ev})
}

// busyDisk finds that a disk became so busy that it is slow.
func (f machineFinder) busyDisk(k key) {
	for _, c := range f.changes(diskBusy, k, changepoint.Rule{Ratio: 1.5, Delta: 0.25}) {
		if c.Is < diskActive {
			continue
		}
		text := fmt.Sprintf("disk %s became slow: busy for %s of the time, %s before", k.other, percent(min(1, c.Is)),
			percent(c.Was))
		f.host(rhumb.HappenedDisk, slowDisk, c, text, f.proof(diskBusy, k, c, text))
		h := f.happenings[len(f.happenings)-1]
		for _, s := range f.changes(ioStall, key{}, changepoint.Rule{Ratio: 2, Delta: 0.1}) {
			h.evidence = append(h.evidence, f.proof(ioStall, key{}, s,
				fmt.Sprintf("tasks waited for disks for %s of the time", percent(min(1, s.Is)))))
		}
		for _, user := range f.keys(diskUse) {
			for _, u := range f.changes(diskUse, user, moreDiskUse) {
				if u.At.Sub(c.At).Abs() <= 3*time.Minute {
					h.evidence = append(h.evidence, f.proof(diskUse, user, u, fmt.Sprintf("%s moved %s a second, %s before",
						title(user.stack, user.service), bytes(u.Is), bytes(u.Was))))
				}
			}
		}
	}
}
