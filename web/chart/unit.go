package chart

import (
	"math"
	"strconv"
	"strings"
)

// Unit is what values are counted in.
type Unit int

// The units.
const (
	Number Unit = iota
	Seconds
	Bytes
	Ratio // 1 is 100%
	PerSecond
	BytesPerSecond
)

// Format returns a value with its unit, as people read it: "38 ms", "1.2 MB", "0.02%", "43.1/s".
func (u Unit) Format(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	switch u {
	case Seconds:
		return seconds(v)
	case Bytes:
		return bytes(v)
	case Ratio:
		return percent(v)
	case PerSecond:
		return number(v) + "/s"
	case BytesPerSecond:
		return bytes(v) + "/s"
	}
	return number(v)
}

// sign returns the unit as scripts know it.
func (u Unit) sign() string {
	switch u {
	case Seconds:
		return "s"
	case Bytes:
		return "B"
	case Ratio:
		return "%"
	case PerSecond:
		return "/s"
	case BytesPerSecond:
		return "B/s"
	}
	return ""
}

// least returns the smallest value for the top of a chart's axis.
func (u Unit) least() float64 {
	switch u {
	case Seconds:
		return 0.001
	case Bytes, BytesPerSecond:
		return 1000
	case Ratio:
		return 0.01
	}
	return 1
}

// scaled is a unit of a larger size.
type scaled struct {
	size float64
	name string
}

func number(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a < 0.001 || a >= 1e15:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case a >= 1e4 && a < 1e6:
		return grouped(v)
	}
	return inUnit(v, []scaled{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {0, ""}})
}

func bytes(v float64) string {
	if a := math.Abs(v); a >= 1e18 {
		return strconv.FormatFloat(v, 'g', 3, 64) + " B"
	} else if a < 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " B"
	}
	return inUnit(v, []scaled{{1e15, " PB"}, {1e12, " TB"}, {1e9, " GB"}, {1e6, " MB"}, {1e3, " kB"}, {0, " B"}})
}

func seconds(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0 s"
	case a >= 1e12 || a < 1e-6:
		return strconv.FormatFloat(v, 'g', 3, 64) + " s"
	case a >= 60:
		return inUnit(v, []scaled{{86400, " d"}, {3600, " h"}, {0, " s"}, {60, " min"}})
	}
	return inUnit(v, []scaled{{1, " s"}, {1e-3, " ms"}, {1e-6, " µs"}})
}

func percent(v float64) string {
	p := v * 100
	switch a := math.Abs(p); {
	case a == 0:
		return "0%"
	case a >= 1e6 || a < 0.01:
		return strconv.FormatFloat(p, 'g', 2, 64) + "%"
	case a >= 10:
		return strconv.FormatFloat(p, 'f', 0, 64) + "%"
	}
	return trimmed(strconv.FormatFloat(p, 'f', 2, 64)) + "%"
}

// inUnit returns a value in the first unit of which it is at least one, in three digits. A size of 0 is one.
func inUnit(v float64, units []scaled) string {
	for i, u := range units {
		if math.Abs(v) < u.size && i < len(units)-1 {
			continue
		}
		if u.size == 0 {
			if i < len(units)-1 {
				continue
			}
			u.size = 1
		}
		return digits(v/u.size) + u.name
	}
	return digits(v)
}

// digits returns a number with about three digits, without zeros at its end.
func digits(v float64) string {
	decimals := 0
	for a := math.Abs(v); a > 0 && a < 100 && decimals < 6; a *= 10 {
		decimals++
	}
	return trimmed(strconv.FormatFloat(v, 'f', decimals, 64))
}

func trimmed(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// grouped returns a whole number with a comma before each three digits.
func grouped(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "-" + s
	}
	return s
}

// scale is a chart's vertical axis.
type scale struct {
	low, high float64
	ticks     []float64
}

// scaleOf returns an axis for values from low to high, with zero on it and two to five ticks.
func scaleOf(u Unit, low, high float64) scale {
	low, high = min(low, 0), max(high, 0)
	if low == 0 || high-low < 1e-290 { // a step below that would be 0
		high = max(high, u.least())
	}
	step := nice((high - low) / 4)
	s := scale{low: math.Floor(low/step) * step, high: math.Ceil(high/step) * step}
	for i := range 8 {
		if v := s.low + float64(i)*step; v <= s.high*(1+1e-9) {
			s.ticks = append(s.ticks, v)
		}
	}
	return s
}

// nice returns the next handy step that is at least v: 1, 2 or 5 times a power of ten.
func nice(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// at returns where a value is on the axis, from 0 at its low end to 1.
func (s scale) at(v float64) float64 {
	return max(0, min(1, (v-s.low)/(s.high-s.low)))
}
