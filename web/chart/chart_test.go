package chart_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"html/template"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// points returns a value each minute.
func points(values ...float64) []rhumb.Point {
	ps := make([]rhumb.Point, len(values))
	for i, v := range values {
		ps[i] = rhumb.Point{Time: noon.Add(time.Duration(i) * time.Minute), Value: v}
	}
	return ps
}

func TestChartsAreAsDrawn(t *testing.T) {
	marks := []chart.Mark{
		{At: noon.Add(3 * time.Minute), Label: "42", Title: "release 42 <serves>", Link: "/stacks/shop/deployments/7"},
		{At: noon.Add(3*time.Minute + time.Second), Label: "43", Title: "too near for its label", Bad: true},
	}
	gap := append(points(1, 2), rhumb.Point{Time: noon.Add(9 * time.Minute), Value: 4})
	for name, got := range map[string]template.HTML{
		"releases": chart.Line{Title: "p95 of web", Unit: chart.Seconds, Marks: marks, From: noon,
			To: noon.Add(6 * time.Minute), Series: []chart.Series{
				{Name: "release 42", Tone: chart.ToneNew, Points: points(.038, .041, .09, .05)},
				{Name: "release 41", Tone: chart.ToneOld, Points: points(.03, .031)},
			}}.HTML(),
		"gap": chart.Line{Title: "a gap", Series: []chart.Series{{Name: "x", Points: gap}},
			Gap: 2 * time.Minute}.HTML(),
		"one": chart.Line{Title: "one point", Unit: chart.Bytes,
			Series: []chart.Series{{Name: "x", Points: points(1 << 20)}}}.HTML(),
		"negative": chart.Line{Title: "both sides of zero",
			Series: []chart.Series{{Name: "x", Points: points(-5, 3)}}}.HTML(),
		"none": chart.Line{Title: "nothing", From: noon, To: noon.Add(time.Hour), Marks: marks}.HTML(),
		"bars": chart.Bars{Title: "lines", Start: noon, Step: time.Minute, Marks: marks, Kinds: []chart.Kind{
			{Name: "error", Tone: chart.ToneBad, Counts: []int64{0, 2}},
			{Name: "other", Tone: chart.ToneOld, Counts: []int64{9, 8, 0, 1}},
		}, Link: func(from, to time.Time) string {
			return "?from=" + from.Format("15:04") + "&to=" + to.Format("15:04")
		}}.HTML(),
		"spark": chart.Spark("requests of shop", points(1, 5, 2)),
		"meter": chart.Meter("memory: 91% full", .91, .8, .95),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, string(got)) })
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	valid(t, got)
	got = strings.ReplaceAll(got, "><", ">\n<") + "\n"
	file := filepath.Join("testdata", name+".html")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; with -update it is written again. Drawn:\n%s", file, got)
	}
}

func TestOnlyTwelveSeriesAreDrawnAndTheRestIsSaid(t *testing.T) {
	var series []chart.Series
	for i := range 15 {
		series = append(series, chart.Series{Name: "s" + strconv.Itoa(i), Points: points(float64(i), float64(i))})
	}
	got := string(chart.Line{Title: "many", Series: series}.HTML())
	if n := strings.Count(got, `class="line `); n != chart.MaxSeries {
		t.Errorf("%d lines, want %d", n, chart.MaxSeries)
	}
	for _, want := range []string{"and 3 more that aren't drawn", "s14", "s3 "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(got, "</i>s2 ") {
		t.Error("the lowest series is drawn")
	}
}

func TestPeaksSurviveThinning(t *testing.T) {
	values := make([]float64, 5000)
	values[3210] = 7
	got := string(chart.Line{Title: "peak", Series: []chart.Series{{Name: "x", Points: points(values...)}}}.HTML())
	if !strings.Contains(got, "x: from 0 to 7, at last 0") {
		t.Error("the peak is lost")
	}
	if len(got) > 10_000 {
		t.Errorf("5000 points take %d bytes", len(got))
	}
}

func TestNamesAreHostileText(t *testing.T) {
	name := "<script>alert(1)</script>\"'&\x00\x1b[31m\u202e" + strings.Repeat("long", 1000)
	got := string(chart.Line{Title: name, Series: []chart.Series{{Name: name, Points: points(1, 2)}},
		Marks: []chart.Mark{{At: noon, Label: name, Title: name, Link: name}}}.HTML())
	valid(t, got)
	for _, bad := range []string{"<script", "\x1b", "\u202e", "\x00"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q is in the chart", bad)
		}
	}
	if len(got) > 12_000 {
		t.Errorf("the chart has %d bytes", len(got))
	}
}

func TestValuesHaveUnits(t *testing.T) {
	for _, c := range []struct {
		unit  chart.Unit
		value float64
		want  string
	}{
		{chart.Number, 0, "0"}, {chart.Number, 43.1234, "43.1"}, {chart.Number, 0.4149, "0.415"},
		{chart.Number, 1204, "1204"},
		{chart.Number, 31204, "31,204"}, {chart.Number, -31204, "-31,204"}, {chart.Number, 3.1e6, "3.1 M"},
		{chart.Number, 1e-9, "1e-09"}, {chart.Number, math.Inf(1), "unknown"}, {chart.Number, 1e20, "1e+20"},
		{chart.Seconds, 0, "0 s"}, {chart.Seconds, 0.038, "38 ms"}, {chart.Seconds, 1.25, "1.25 s"},
		{chart.Seconds, 0.00084, "840 µs"},
		{chart.Seconds, 150, "2.5 min"}, {chart.Seconds, 7200, "2 h"}, {chart.Seconds, 172800, "2 d"},
		{chart.Bytes, 12, "12 B"}, {chart.Bytes, 1.2e6, "1.2 MB"}, {chart.Bytes, 1e9, "1 GB"},
		{chart.BytesPerSecond, 1500, "1.5 kB/s"}, {chart.PerSecond, 43.1, "43.1/s"},
		{chart.Ratio, 0, "0%"}, {chart.Ratio, 0.0002, "0.02%"}, {chart.Ratio, 0.12, "12%"}, {chart.Ratio, 1, "100%"},
		{chart.Ratio, 0.000001, "0.0001%"},
	} {
		if got := c.unit.Format(c.value); got != c.want {
			t.Errorf("%v in unit %d is %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestAnyDataIsDrawnAsValidXML(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	extremes := []float64{0, 1, -1, 1e308, -1e308, 1e-308, 5e-324, -5e-324, -1e-300, math.MaxFloat64, 1e300, 42, 42}
	for range 2000 {
		l := chart.Line{Title: "any", Unit: chart.Unit(r.IntN(7)), Gap: time.Duration(r.Int64N(1e12)) - 1e9}
		at := time.Unix(r.Int64N(4e9)-1e9, 0)
		for range r.IntN(4) {
			var ps []rhumb.Point
			for range r.IntN(40) {
				v := r.NormFloat64() * math.Pow(10, float64(r.IntN(20)-10))
				if r.IntN(3) == 0 {
					v = extremes[r.IntN(len(extremes))]
				}
				ps = append(ps, rhumb.Point{Time: at, Value: v})
				at = at.Add(time.Duration(r.Int64N(int64(time.Hour) * (1 + 10000*r.Int64N(2)))))
			}
			l.Series = append(l.Series, chart.Series{Name: "s", Points: ps})
		}
		if r.IntN(3) == 0 {
			l.From = at.Add(-time.Duration(r.Int64N(math.MaxInt64 / 2)))
			l.To = at.Add(time.Duration(r.Int64N(math.MaxInt64/2)) - 5)
		}
		valid(t, string(l.HTML()))
	}
}

func FuzzLine(f *testing.F) {
	f.Add("p95", 1.0, 2.0, int64(1000), int64(60), 3)
	f.Add("\xff\u202e</svg>", math.Inf(1), math.NaN(), int64(math.MinInt64), int64(math.MaxInt64), 0)
	f.Fuzz(func(t *testing.T, name string, a, b float64, from, step int64, unit int) {
		at, later := time.Unix(from%1e11, 0), time.Unix(from%1e11, 0).Add(time.Duration(step))
		ps := []rhumb.Point{{Time: at, Value: a}, {Time: later, Value: b}}
		marks := []chart.Mark{{At: later, Label: name, Title: name, Link: name}}
		valid(t, string(chart.Line{Title: name, Unit: chart.Unit(unit), Series: []chart.Series{{Name: name, Points: ps}},
			Marks: marks, From: at, To: later}.HTML()))
		valid(t, string(chart.Bars{Title: name, Start: at, Step: time.Duration(step), Marks: marks,
			Kinds: []chart.Kind{{Name: name, Tone: chart.ToneBad, Counts: []int64{from, step, 1}}}}.HTML()))
		valid(t, string(chart.Spark(name, ps)))
		valid(t, string(chart.Meter(name, a, b, .9)))
	})
}

var number = regexp.MustCompile(`[-+]?[0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?`)

// coordinates are the attributes that hold numbers.
var coordinates = map[string]bool{"x": true, "y": true, "x1": true, "x2": true, "y1": true, "y2": true, "d": true,
	"width": true, "height": true, "dx": true}

// valid reports a drawing that isn't XML, styles itself, or has a coordinate that can't be drawn.
func valid(t *testing.T, drawn string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(drawn))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in:\n%s", err, drawn)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
				t.Fatalf("<%s %s=%q>", start.Name.Local, a.Name.Local, a.Value)
			}
			if !coordinates[a.Name.Local] {
				continue
			}
			if strings.ContainsAny(a.Value, "NIn") {
				t.Fatalf("<%s %s=%q>", start.Name.Local, a.Name.Local, a.Value)
			}
			for _, n := range number.FindAllString(a.Value, -1) {
				if v, err := strconv.ParseFloat(n, 64); err != nil || math.Abs(v) > 20_000 {
					t.Fatalf("<%s %s=%q>", start.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}
