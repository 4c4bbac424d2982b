package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rhumb"
)

const (
	maxCauses   = 3
	maxEvidence = 8
	maxHappened = 200
	rival       = 0.5 // a further cause explains at least so much of what the first one does
)

// candidate is a happening that may be named as a cause.
type candidate struct {
	index int
	score float64
}

// causes returns the likeliest causes of the troubles that the query is about; none if nothing became worse.
func causes(found *findings) []rhumb.WhyCause {
	f := judge{found}
	if !slices.ContainsFunc(f.troubles, f.asked) {
		return nil
	}
	w := weigh(f)
	ranked := w.rank()
	var named []rhumb.WhyCause
	for _, c := range ranked {
		if len(named) < maxCauses && c.score >= rival*ranked[0].score {
			named = append(named, w.cause(c.index))
		}
	}
	if len(named) == 0 {
		return w.unexplained()
	}
	return named
}

// asked reports whether the query is about a trouble.
func (f judge) asked(t *trouble) bool {
	if f.q.Stack == "" || t.stack == "" {
		return true
	}
	return t.stack == f.q.Stack && (f.q.Service == "" || t.service == f.q.Service || t.service == "")
}

// rank returns the happenings that aren't effects of others by how much they explain, the most first.
func (w *weighing) rank() []candidate {
	var found []candidate
	for i, h := range w.happenings {
		if w.parent[i] >= 0 || h.Kind == rhumb.HappenedRollback && h.effect {
			continue
		}
		c := candidate{index: i}
		best := 0.0
		for j, t := range w.troubles {
			if w.asked(t) {
				c.score += t.size * w.explains[i][j]
				best = max(best, w.explains[i][j])
			}
		}
		if c.score >= unlikely && best >= 0.2 {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	return found
}

// cause returns a happening as a cause: its text says when it was, and what is worse since.
func (w *weighing) cause(i int) rhumb.WhyCause {
	h := w.happenings[i]
	c := rhumb.WhyCause{Happening: h.Happening}
	var effects []*trouble
	for j, t := range w.troubles {
		if w.explains[i][j] >= 0.2 {
			effects = append(effects, t)
		}
	}
	slices.SortStableFunc(effects, func(a, b *trouble) int {
		return cmp.Or(compareBool(w.asked(b), w.asked(a)), cmp.Compare(b.size, a.size))
	})
	c.Text = w.dated(h) + sinceThen(h, effects)
	c.Evidence = w.evidence(h, effects)
	return c
}

// dated returns what a happening is, with its time.
func (w *weighing) dated(h *happening) string {
	name, more, ok := strings.Cut(h.Text, " (")
	switch {
	case ok && strings.HasSuffix(more, ")"):
		return fmt.Sprintf("%s at %s (%s", name, w.clock(h.At), more)
	case strings.ContainsAny(h.Text, ",:"):
		return fmt.Sprintf("at %s, %s", w.clock(h.At), h.Text)
	}
	return fmt.Sprintf("%s at %s", h.Text, w.clock(h.At))
}

// sinceThen returns the two worst effects of a happening, as the rest of its sentence.
func sinceThen(h *happening, effects []*trouble) string {
	var since []string
	last := h.Service
	for _, t := range effects {
		own := t.symptom == h.as && h.effect && t.service == h.Service && h.Kind != rhumb.HappenedRollback
		if own || len(since) == 2 || strings.Contains(h.Text, t.phrase) {
			continue
		}
		phrase := t.phrase
		if t.service != "" && t.service != last {
			phrase = fmt.Sprintf("%s: %s", t.service, phrase)
			last = t.service
		}
		since = append(since, phrase)
	}
	if len(since) == 0 {
		return ""
	}
	return "; since then " + strings.Join(since, ", and ")
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// evidence returns what speaks for a cause, the clearest first: the split by release, what is worse, the series of the
// happening, and new kinds of lines.
func (w *weighing) evidence(h *happening, effects []*trouble) []rhumb.Evidence {
	var all []rhumb.Evidence
	add := func(e rhumb.Evidence) {
		if len(all) < maxEvidence && !slices.ContainsFunc(all, func(o rhumb.Evidence) bool { return o.Text == e.Text }) {
			all = append(all, e)
		}
	}
	if h.Kind == rhumb.HappenedRelease || h.Kind == rhumb.HappenedRollback {
		for _, t := range effects {
			if _, text := w.split(h, t); text != "" {
				add(rhumb.Evidence{At: t.at, Text: text})
			}
		}
	}
	for i, t := range effects {
		if i < 5 {
			add(t.evidence)
		}
	}
	for _, e := range h.evidence {
		add(e)
	}
	for _, t := range effects {
		for i, kind := range w.lines[key{stack: t.stack, service: t.service}].fresh() {
			if i < 3 && kind.since >= 2 && !kind.at.Before(h.began.Add(-w.tolerance())) {
				add(newLines(key{stack: t.stack, service: t.service}, kind))
			}
		}
	}
	return all
}

// unexplained returns the worst trouble, as something for which there is no explanation.
func (w *weighing) unexplained() []rhumb.WhyCause {
	var worst *trouble
	for _, t := range w.troubles {
		if w.asked(t) && (worst == nil || t.size > worst.size) {
			worst = t
		}
	}
	if worst.size < 0.3 {
		return nil
	}
	c := rhumb.WhyCause{}
	c.Kind, c.At, c.Stack, c.Service = rhumb.HappenedUnknown, worst.at, worst.stack, worst.service
	c.Text = fmt.Sprintf("%s: %s at %s, and nothing that is known explains it", title(worst.stack, worst.service),
		worst.phrase, w.clock(worst.at))
	c.Evidence = w.evidence(&happening{began: worst.at}, []*trouble{worst})
	return []rhumb.WhyCause{c}
}

// happened returns the happenings in the chosen time, or shortly before. Services that may be dependencies, and lines,
// aren't happenings of their own.
func happened(f *findings) []rhumb.Happening {
	var all []rhumb.Happening
	for _, h := range f.happenings {
		if h.Kind == rhumb.HappenedDependency || h.Kind == rhumb.HappenedLog {
			continue
		}
		if f.q.Service == "" || h.Stack == "" || h.touches(f.q.Service) || h.Service == "" {
			all = append(all, h.Happening)
		}
	}
	return all[max(0, len(all)-maxHappened):]
}
