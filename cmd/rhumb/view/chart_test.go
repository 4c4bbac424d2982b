package view

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rhumb"
)

var chartStart = time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)

// drawn returns the chart of series over an hour, with a value each minute.
func drawn(expr string, list ...rhumb.Series) string {
	var b bytes.Buffer
	q := rhumb.MetricQuery{Expr: expr, Since: chartStart, Until: chartStart.Add(time.Hour), Step: time.Minute}
	Chart(&b, q, list)
	return b.String()
}

// valued returns a series with these values, a minute apart. NaN is a gap.
func valued(values ...float64) rhumb.Series {
	s := rhumb.Series{Labels: map[string]string{"service": "web"}}
	for i, v := range values {
		if !math.IsNaN(v) {
			s.Points = append(s.Points, rhumb.Point{Time: chartStart.Add(time.Duration(i) * time.Minute), Value: v})
		}
	}
	return s
}

func TestAChartOfAnyValuesHasItsSizeAndItsSeries(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	seed := rand.Uint64()
	for n := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, n))
		size := math.Pow(10, float64(r.IntN(600)-300))
		values := make([]float64, 1+r.IntN(61))
		for i := range values {
			values[i] = []float64{r.NormFloat64() * size, size, -size, 0, math.NaN(), math.MaxFloat64, -math.MaxFloat64,
				math.SmallestNonzeroFloat64}[r.IntN(8)]
		}
		s := valued(values...)
		text := drawn("x", s)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(s.Points) == 0 {
			continue
		}
		if len(lines) != 15 || !strings.Contains(lines[14], "service=web") || !strings.Contains(text, "*") {
			t.Fatalf("seed %d, %d: %v is drawn as\n%s", seed, n, values, text)
		}
		for _, l := range lines[:14] {
			if utf8.RuneCountInString(l) > 80 {
				t.Fatalf("seed %d, %d: a line has %d columns: %q", seed, n, len(l), l)
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Fatalf("seed %d, %d: %v is drawn as\n%s", seed, n, values, text)
		}
	}
}

func TestPointsWithAGapBetweenThemAreNotJoined(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	nan := math.NaN()
	text := drawn("x", valued(1, 1, 1, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, 1, 1))
	for l := range strings.Lines(text) {
		if first := strings.Index(l, "*"); first > 0 && !strings.Contains(l, "service") &&
			!strings.Contains(strings.TrimSpace(l[first:]), " ") {
			t.Errorf("the gap is closed: %q", l)
		}
	}
}

func TestPointsOutsideTheChartAreNotDrawn(t *testing.T) {
	s := valued(1, 2)
	s.Points = append(s.Points, rhumb.Point{Time: chartStart.AddDate(9000, 0, 0), Value: 3})
	if text := drawn("x", s); !strings.Contains(text, "service=web") {
		t.Errorf("drawn is %s", text)
	}
}

func TestAWideTerminalDrawsASingleSeriesInBraille(t *testing.T) {
	t.Setenv("LC_ALL", "en_US.UTF-8")
	if text := drawn("x", valued(1, 5, 2)); !strings.ContainsAny(text, "⠉⡇⠈⢠⡎⣀⠤⡠⢸⡜⠃⠁") || !strings.Contains(text, "└") {
		t.Errorf("drawn is\n%s", text)
	}
	if text := drawn("x", valued(1, 5), valued(2, 3)); strings.Contains(text, "└") || !strings.Contains(text, "+ ") {
		t.Errorf("two series without colour are drawn as\n%s", text)
	}
	t.Setenv("LC_ALL", "C")
	if text := drawn("x", valued(1, 5)); strings.ContainsFunc(text, func(r rune) bool { return r > 127 }) {
		t.Errorf("without UTF-8 it is\n%s", text)
	}
}

func TestManySeriesAreCounted(t *testing.T) {
	list := make([]rhumb.Series, 20)
	for i := range list {
		list[i] = valued(1, 2)
		list[i].Labels = map[string]string{"replica": strings.Repeat("x", i+1) + "\x1b[2J"}
	}
	text := drawn("x", list...)
	if !strings.Contains(text, "and 8 more series") || strings.Contains(text, "\x1b") {
		t.Errorf("drawn is\n%s", text)
	}
}

func TestUnitsComeFromTheNamesOfSeries(t *testing.T) {
	for _, c := range []struct {
		expr  string
		value float64
		want  string
	}{
		{"rhumb_replica_memory_bytes", 1.5e6, "1.5 MB"},
		{"rhumb_replica_memory_bytes", -1.5e6, "-1.5 MB"},
		{"rate(rhumb_replica_network_sent_bytes_total[1m])", 2000, "2 kB/s"},
		{"rhumb_replica_memory_bytes / rhumb_replica_memory_limit_bytes", 0.5, "0.5"},
		{"rate(rhumb_replica_cpu_seconds_total[1m])", 0.25, "0.25"},
		{"sum(rate(rhumb_requests_total[1m]))", 1234, "1.23k/s"},
		{"histogram_quantile(0.95, sum by (le) (rate(rhumb_request_duration_seconds_bucket[5m])))", 0.0381, "38ms"},
		{"histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))", 90, "1.5m"},
		{"time() - rhumb_replica_started_seconds", 90000, "90k"},
		{"count(rhumb_replica_up)", 3, "3"},
		{"some_duration_seconds", 0, "0s"},
		{"some_duration_seconds", 0.0000004, "0s"},
		{"some_duration_seconds", -7200, "-2h"},
		{"x", 0.123456, "0.123"}, {"x", 123456789, "123M"}, {"x", 1e21, "1e+21"}, {"x", 999.7, "1k"}, {"x", 100.4, "100"},
	} {
		if got := unitOf(c.expr).format(c.value); got != c.want {
			t.Errorf("%v of %s is %q, want %q", c.value, c.expr, got, c.want)
		}
	}
}
