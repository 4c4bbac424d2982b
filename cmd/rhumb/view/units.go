package view

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// unit is what a number counts.
type unit int

const (
	unitNone unit = iota
	unitBytes
	unitByteRate // bytes a second
	unitRate     // something a second
	unitSeconds
)

// unitOf returns what the result of an expression counts, as far as the names of its series say. A quotient, a
// comparison and a time have no unit.
func unitOf(expr string) unit {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(expr, w) {
				return true
			}
		}
		return false
	}
	rate := has("rate(", "deriv(")
	switch {
	case has("/", "_started_seconds", "_boot_seconds", "_expires_seconds", "bool"):
		return unitNone
	case has("histogram_quantile") && has("_seconds"):
		return unitSeconds
	case has("count(", "count by", "absent"):
		return unitNone
	case has("_bytes") && rate:
		return unitByteRate
	case has("_bytes"):
		return unitBytes
	case has("_seconds") && rate:
		return unitNone // seconds a second
	case has("_seconds"):
		return unitSeconds
	case rate:
		return unitRate
	}
	return unitNone
}

// format returns a number with its unit, in about three digits: "1.2 MB/s", "38ms", "0.25".
func (u unit) format(v float64) string {
	if math.Abs(v) > 1e18 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	switch u {
	case unitBytes:
		return sign(v) + Bytes(int64(math.Abs(v)))
	case unitByteRate:
		return sign(v) + Bytes(int64(math.Abs(v))) + "/s"
	case unitSeconds:
		return span(v)
	case unitRate:
		return digits(v) + "/s"
	}
	return digits(v)
}

func sign(v float64) string {
	if v <= -1 {
		return "-"
	}
	return ""
}

// span returns a number of seconds in about three digits.
func span(v float64) string {
	d := time.Duration(min(math.Abs(v), 9e9) * float64(time.Second))
	text := took(d)
	switch {
	case d == 0:
		text = "0s"
	case d < time.Millisecond:
		text = d.Round(time.Microsecond).String()
	case d >= 48*time.Hour:
		text = fmt.Sprintf("%.3gd", d.Hours()/24)
	case d >= time.Hour:
		text = fmt.Sprintf("%.3gh", d.Hours())
	case d >= time.Minute:
		text = fmt.Sprintf("%.3gm", d.Minutes())
	}
	if v < 0 {
		return "-" + text
	}
	return text
}

// digits returns a number in about three digits: "1.23k", "0.004".
func digits(v float64) string {
	for _, p := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= p.size*0.9995 {
			return strconv.FormatFloat(v/p.size, 'g', 3, 64) + p.name
		}
	}
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// percent returns a share in percent: "3.1%", "85%".
func percent(v float64) string {
	if v *= 100; math.Abs(v) < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + "%"
}

// wideLetters reports whether the terminal shows more than ASCII, as the locale says.
func wideLetters() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(os.Getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
