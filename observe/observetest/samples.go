package observetest

import (
	"testing"
	"time"

	"rhumb"
	"rhumb/observe"
)

// Samples keeps samples and returns the last ones.
type Samples interface {
	observe.SampleSink
	// Last returns the last value of the series with a name and labels, which are pairs of a name and a value. It
	// returns false if there is none, or if the series has ended.
	Last(name string, labels ...string) (float64, bool)
}

// RunSamples runs the contract of observe.SampleSink, each test with a new, empty one.
func RunSamples(t *testing.T, open func(t *testing.T) Samples) {
	for name, test := range sampleTests {
		t.Run(name, func(t *testing.T) { test(&sampling{t, open(t), time.Now().Add(-time.Minute)}) })
	}
}

// sampling is what one test works on.
type sampling struct {
	*testing.T
	Samples
	start time.Time
}

// add adds a sample of each series, some time after the start.
func (s *sampling) add(after time.Duration, v float64, all ...*observe.Series) error {
	samples := make([]observe.Sample, 0, len(all))
	for _, of := range all {
		samples = append(samples, observe.Sample{Series: of, Value: v})
	}
	return s.Add(s.Context(), s.start.Add(after), samples)
}

// want checks the last value of a series of the name up; ok is false if there must be none.
func (s *sampling) want(v float64, ok bool, labels ...string) {
	s.Helper()
	if got, is := s.Last("up", labels...); is != ok || ok && got != v {
		s.Errorf("%q is %v, %v; want %v, %v", labels, got, is, v, ok)
	}
}

var sampleTests = map[string]func(*sampling){
	"samples are kept by series": func(s *sampling) {
		a, b := &observe.Series{Name: "up", Labels: []observe.Label{{Name: "n", Value: "a"}}}, &observe.Series{Name: "up"}
		s.want(0, false)
		if err := s.add(0, 1, a, b); err != nil {
			s.Fatal(err)
		}
		if err := s.add(time.Second, 2, a); err != nil {
			s.Fatal(err)
		}
		s.want(2, true, "n", "a")
		s.want(1, true)
		s.want(0, false, "n", "b")
	},
	"two pointers may be one series": func(s *sampling) {
		if err := s.add(0, 1, &observe.Series{Name: "up"}); err != nil {
			s.Fatal(err)
		}
		if err := s.add(time.Second, 2, &observe.Series{Name: "up"}); err != nil {
			s.Fatal(err)
		}
		s.want(2, true)
	},
	"older samples are dropped, and the others are kept": func(s *sampling) {
		a, b := &observe.Series{Name: "up"}, &observe.Series{Name: "up", Labels: []observe.Label{{Name: "n", Value: "b"}}}
		if err := s.add(time.Second, 1, a); err != nil {
			s.Fatal(err)
		}
		if err := s.add(0, 2, a, b); rhumb.ErrorCode(err) != rhumb.Invalid {
			s.Errorf("an older sample: %v", err)
		}
		s.want(1, true)
		s.want(2, true, "n", "b")
	},
	"a series ends and begins again": func(s *sampling) {
		a, never := &observe.Series{Name: "up"}, &observe.Series{Name: "up", Labels: []observe.Label{{Name: "n", Value: "b"}}}
		if err := s.add(0, 1, a); err != nil {
			s.Fatal(err)
		}
		if err := s.End(s.Context(), s.start, []*observe.Series{a, never}); err != nil {
			s.Fatal(err)
		}
		s.want(0, false)
		s.want(0, false, "n", "b")
		if err := s.add(time.Second, 3, a); err != nil {
			s.Fatal(err)
		}
		s.want(3, true)
	},
}
