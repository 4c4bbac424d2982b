package why_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe/observefake"
	"rhumb/observe/why"
)

// broken is a source that doesn't answer.
type broken struct{}

func (broken) Query(context.Context, rhumb.MetricQuery) ([]rhumb.Series, error) {
	return nil, rhumb.Errorf(rhumb.Unavailable, "observe doesn't answer")
}

func (broken) Lines(context.Context, rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		yield(rhumb.LogLine{}, rhumb.Errorf(rhumb.Unavailable, "the log store doesn't answer"))
	}
}

func (broken) LogCounts(context.Context, rhumb.LogQuery) ([]rhumb.LogCount, error) { return nil, nil }

// crashed returns a world in which web has crashed.
func crashed(t *testing.T) (*world, *observefake.Store) {
	t.Helper()
	w := newWorld(3)
	replicaFaults[0].begin(w, 0)
	w.run()
	lines := observefake.New()
	if _, err := lines.Append(t.Context(), w.lines); err != nil {
		t.Fatal(err)
	}
	return w, lines
}

var hour = rhumb.WhyQuery{Stack: "shop", Since: since, Until: until}

func TestASourceThatIsAwayIsNamed(t *testing.T) {
	w, lines := crashed(t)
	for name, d := range map[string]why.Deps{
		"metrics": {Metrics: broken{}, Lines: lines, Standings: standings{}},
		"lines":   {Metrics: w.table, Lines: broken{}, Standings: standings{}},
		"nothing": {Metrics: w.table, Lines: lines},
	} {
		x, err := why.New(d).Why(t.Context(), hour)
		if err != nil {
			t.Fatal(name, err)
		}
		if len(x.Missing) == 0 {
			t.Errorf("without %s: nothing is said to be missing", name)
		}
		if len(x.Causes) == 0 || name != "lines" && x.Causes[0].Kind != rhumb.HappenedCrash {
			t.Errorf("without %s:\n%s", name, show(x))
		}
	}
	_, err := why.New(why.Deps{Metrics: broken{}, Lines: broken{}, Standings: standings{}}).Why(t.Context(),
		rhumb.WhyQuery{Since: since, Until: until})
	if rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("without all: %v, want unavailable", err)
	}
}

func TestQueriesThatCantBeExplainedAreRefused(t *testing.T) {
	w, lines := crashed(t)
	e := why.New(why.Deps{Metrics: w.table, Lines: lines, Standings: standings{}})
	for _, c := range []struct {
		q    rhumb.WhyQuery
		want rhumb.Code
	}{
		{rhumb.WhyQuery{Stack: "shop", Since: until, Until: since}, rhumb.Invalid},
		{rhumb.WhyQuery{Stack: "shop", Since: since, Until: since}, rhumb.Invalid},
		{rhumb.WhyQuery{Since: began.Add(-999 * time.Hour), Until: until}, rhumb.Invalid},
		{rhumb.WhyQuery{Service: "web", Since: since, Until: until}, rhumb.Invalid},
		{rhumb.WhyQuery{Stack: "none", Since: since, Until: until}, rhumb.NotFound},
		{rhumb.WhyQuery{Stack: "shop", Service: "none", Since: since, Until: until}, rhumb.NotFound},
	} {
		if _, err := e.Why(t.Context(), c.q); rhumb.ErrorCode(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.q, err, c.want)
		}
	}
}

func TestTheSameRecordsHaveTheSameExplanation(t *testing.T) {
	w := newWorld(5)
	machineFaults[0].begin(w, 1)
	w.run()
	first := ""
	for range 3 {
		rand.Shuffle(len(w.lines), func(i, j int) { w.lines[i], w.lines[j] = w.lines[j], w.lines[i] })
		slices.SortStableFunc(w.lines, func(a, b rhumb.LogLine) int { return a.Time.Compare(b.Time) })
		lines := observefake.New()
		if _, err := lines.Append(t.Context(), w.lines); err != nil {
			t.Fatal(err)
		}
		x, err := why.New(why.Deps{Metrics: w.table, Lines: lines, Standings: standings{}}).Why(t.Context(), hour)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Fatalf("two explanations:\n%s\n%s", first, text)
		}
	}
}

// flood is a log without an end.
type flood struct {
	broken
	read int
}

func (f *flood) Lines(_ context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		for i := 0; ; i++ {
			f.read++
			l := rhumb.LogLine{Time: q.Since.Add(time.Second), Stack: "shop", Service: fmt.Sprint("s", i%3),
				Text: fmt.Sprintf("error %s", strings.Repeat(string(rune('a'+i%26)), 1+i%150))}
			if !yield(l, nil) {
				return
			}
		}
	}
}

func TestALogWithoutEndIsReadUpToABound(t *testing.T) {
	f := &flood{}
	e := why.New(why.Deps{Metrics: newTable(), Lines: f, Standings: standings{}})
	if _, err := e.Why(t.Context(), hour); err != nil {
		t.Fatal(err)
	}
	if f.read > 220_000 {
		t.Errorf("%d lines were read", f.read)
	}
}

// knowing is what the daemon last said: of a stack with a deployment that failed.
type knowing struct{}

func (knowing) info() rhumb.StackInfo {
	return rhumb.StackInfo{Name: "shop", Release: 41, Deployment: &rhumb.Deployment{ID: 7, Stack: "shop", Cause: "deploy",
		From: 41, To: 42, Started: since.Add(20 * time.Minute), Ended: since.Add(22 * time.Minute),
		Phase: rhumb.PhaseRolledBack, Why: "web exited with 1"}}
}

func (k knowing) Stack(string) (rhumb.StackInfo, time.Time) { return k.info(), until }
func (k knowing) All() []rhumb.StackInfo                    { return []rhumb.StackInfo{k.info()} }

func TestWithoutEventsTheLastDeploymentIsKnown(t *testing.T) {
	e := why.New(why.Deps{Metrics: newTable(), Lines: observefake.New(), Standings: knowing{}})
	x, err := e.Why(t.Context(), hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Causes) != 1 || x.Causes[0].Kind != rhumb.HappenedRelease || x.Causes[0].Release != 42 {
		t.Errorf("the causes are:\n%s", show(x))
	}
}
