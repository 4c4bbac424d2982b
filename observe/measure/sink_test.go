package measure

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb/observe"
)

// record is a sink that remembers the last sample of each series, and checks what every sink relies on.
type record struct {
	t *testing.T

	mu     sync.Mutex
	values map[string]float64 // by the series as text: name{label="value"}
	times  map[string]time.Time
	ended  map[string]time.Time
	adds   int
	err    error // what Add answers
	// own may be set to check that all series are documented but those with a name that it returns true for.
	foreign func(name string) bool
}

func newRecord(t *testing.T) *record {
	return &record{t: t, values: map[string]float64{}, times: map[string]time.Time{}, ended: map[string]time.Time{}}
}

// Add implements observe.SampleSink.
func (r *record) Add(_ context.Context, at time.Time, samples []observe.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adds++
	for _, s := range samples {
		key := text(s.Series)
		if last, ok := r.times[key]; ok && !at.After(last) {
			r.t.Errorf("%s has a sample of %v after one of %v", key, at, last)
		}
		if !slices.IsSortedFunc(s.Series.Labels, func(a, b observe.Label) int { return strings.Compare(a.Name, b.Name) }) {
			r.t.Errorf("%s: its labels aren't sorted", key)
		}
		if r.foreign == nil || !r.foreign(s.Series.Name) {
			checkDocumented(r.t, s.Series)
		}
		r.times[key], r.values[key] = at, s.Value
		delete(r.ended, key)
	}
	return r.err
}

// End implements observe.SampleSink.
func (r *record) End(_ context.Context, at time.Time, series []*observe.Series) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range series {
		key := text(s)
		if _, ok := r.values[key]; !ok {
			r.t.Errorf("%s ends, and has no sample", key)
		}
		delete(r.values, key)
		r.ended[key] = at
	}
	return r.err
}

// now returns the last samples of the series that haven't ended and begin with a prefix.
func (r *record) now(prefix string) map[string]float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := maps.Clone(r.values)
	maps.DeleteFunc(all, func(key string, _ float64) bool { return !strings.HasPrefix(key, prefix) })
	return all
}

// is checks the last samples of all series that haven't ended and begin with a prefix.
func (r *record) is(prefix string, want map[string]float64) {
	r.t.Helper()
	if got := r.now(prefix); !maps.Equal(got, want) {
		for _, key := range slices.Sorted(maps.Keys(joined(got, want))) {
			g, there := got[key]
			if w, wanted := want[key]; g != w || there != wanted {
				r.t.Errorf("%s: got %v (%v), want %v (%v)", key, g, there, w, wanted)
			}
		}
	}
}

func joined(a, b map[string]float64) map[string]float64 {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func text(s *observe.Series) string {
	var ls []string
	for _, l := range s.Labels {
		ls = append(ls, fmt.Sprintf("%s=%q", l.Name, l.Value))
	}
	return s.Name + "{" + strings.Join(ls, ",") + "}"
}

// documented are the labels of all series, as docs/metrics.md has them.
var documented = sync.OnceValues(func() (map[string][]string, error) {
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		return nil, err
	}
	series := map[string][]string{}
	var same []string
	for row := range strings.Lines(string(doc)) {
		cells := strings.Split(row, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], "`rhumb_") {
			continue
		}
		ls, extra := labelsIn(cells[2])
		if !extra {
			same = ls
		} else {
			ls = append(slices.Clone(same), ls...)
		}
		full := ""
		for i, name := range strings.Split(cells[1], "`") {
			if i%2 == 0 {
				continue
			}
			if strings.HasPrefix(name, "_") {
				name = full[:strings.LastIndexByte(full, '_')] + name
			} else {
				full = name
			}
			series[name] = ls
		}
	}
	return series, nil
})

// labelsIn returns the labels in a cell, and whether they are added to those of a row above.
func labelsIn(cell string) (ls []string, extra bool) {
	for strings.Contains(cell, "(") {
		before, after, _ := strings.Cut(cell, "(")
		_, after, _ = strings.Cut(after, ")")
		cell = before + after
	}
	for _, l := range strings.FieldsFunc(cell, func(r rune) bool { return r == ',' || r == ';' }) {
		switch l = strings.TrimSpace(l); l {
		case "":
		case "the same":
			extra = true
		default:
			ls = append(ls, l)
		}
	}
	return ls, extra
}

// checkDocumented checks that a series has the labels that docs/metrics.md says.
func checkDocumented(t *testing.T, s *observe.Series) {
	all, err := documented()
	if err != nil {
		t.Error(err)
		return
	}
	want, ok := all[s.Name]
	if !ok {
		t.Errorf("%s isn't in docs/metrics.md", s.Name)
		return
	}
	var has []string
	for _, l := range s.Labels {
		has = append(has, l.Name)
	}
	want = slices.Sorted(slices.Values(want))
	if !strings.HasSuffix(s.Name, "_bucket") {
		want = slices.DeleteFunc(want, func(l string) bool { return l == "le" })
	}
	if !slices.Equal(has, want) {
		t.Errorf("%s has the labels %v; docs/metrics.md says %v", s.Name, has, want)
	}
}

// tree writes files below a folder, and returns the folder.
func tree(t *testing.T, root string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// nothing is a sink that keeps nothing.
type nothing struct{}

func (nothing) Add(context.Context, time.Time, []observe.Sample) error  { return nil }
func (nothing) End(context.Context, time.Time, []*observe.Series) error { return nil }
