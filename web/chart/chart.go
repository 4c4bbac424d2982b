// Package chart draws series of values as SVG with HTML around it. It does no I/O, needs no script, and writes no style
// of its own: colours are classes, for which the page has a style sheet.
//
// A chart is as wide as its place and has a fixed height. Lines are in a nested SVG that is stretched; texts are
// outside of it, at percentages of the width, so that they keep their shape on phones.
package chart

import (
	"math"
	"time"

	"rhumb"
)

// Series is one line of a chart.
type Series struct {
	Name   string
	Tone   Tone
	Points []rhumb.Point // oldest first; those that aren't finite are left out
}

// Tone is the class of a colour.
type Tone string

// The tones that mean something. A series without a tone has one of eight others, by its place.
const (
	ToneNew   Tone = "new"   // the release that serves
	ToneOld   Tone = "old"   // the release before it
	ToneOlder Tone = "older" // all before that
	ToneOK    Tone = "ok"
	ToneWarn  Tone = "warn"
	ToneBad   Tone = "bad"
)

// Mark is a moment that a vertical line shows: a deployment.
type Mark struct {
	At    time.Time
	Label string // beside the line: "42"
	Title string // in words: "release 42 serves since 14:36"
	Link  string // "": none
	Bad   bool   // it failed
}

// The most that is drawn.
const (
	MaxSeries = 12
	maxPoints = 480 // of a series
	maxMarks  = 40
	maxBars   = 240
	maxText   = 120 // runes of a name
)

// finite returns the points that can be drawn: finite ones within a time, and at most maxPoints of them. Where there
// are more, it keeps the lowest and the highest of each stretch, so that no peak is lost.
func finite(ps []rhumb.Point, from, to time.Time) []rhumb.Point {
	kept := make([]rhumb.Point, 0, min(len(ps), maxPoints))
	for _, p := range ps {
		if math.Abs(p.Value) <= limit && !p.Time.Before(from) && !p.Time.After(to) {
			kept = append(kept, p)
		}
	}
	if len(kept) <= maxPoints {
		return kept
	}
	stretch := 2 * (len(kept) + maxPoints - 1) / maxPoints
	thin := kept[:0]
	for i := 0; i < len(kept); i += stretch {
		low, high := extremes(kept[i:min(i+stretch, len(kept))])
		if high.Time.Before(low.Time) {
			low, high = high, low
		}
		thin = append(thin, low)
		if !high.Time.Equal(low.Time) {
			thin = append(thin, high)
		}
	}
	return thin
}

// limit is the largest value that is drawn: differences of such values are finite too. No comparison with NaN holds.
const limit = 1e300

func extremes(ps []rhumb.Point) (low, high rhumb.Point) {
	low, high = ps[0], ps[0]
	for _, p := range ps[1:] {
		if p.Value < low.Value {
			low = p
		}
		if p.Value > high.Value {
			high = p
		}
	}
	return low, high
}

// span is a stretch of time.
type span struct{ from, to time.Time }

// over returns the time from one moment to another; if it is empty, that of the points; and never nothing.
func over(from, to time.Time, series []Series) span {
	if from.IsZero() || !to.After(from) {
		from, to = time.Time{}, time.Time{}
		for _, s := range series {
			for _, p := range s.Points {
				if from.IsZero() || p.Time.Before(from) {
					from = p.Time
				}
				if to.IsZero() || p.Time.After(to) {
					to = p.Time
				}
			}
		}
	}
	if !to.After(from) {
		to = from.Add(time.Minute)
	}
	return span{from, to}
}

// at returns where a time is in the span, from 0 to 1.
func (s span) at(t time.Time) float64 {
	from, to := milli(s.from), milli(s.to)
	return max(0, min(1, (milli(t)-from)/max(1, to-from)))
}

func (s span) has(t time.Time) bool { return !t.Before(s.from) && !t.After(s.to) }

// milli returns a time as a number that doesn't overflow, whatever its year.
func milli(t time.Time) float64 { return float64(t.Unix())*1e3 + float64(t.Nanosecond())/1e6 }
