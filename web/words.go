package web

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rhumb"
	"rhumb/web/chart"
)

// words are the functions that templates have.
var words = template.FuncMap{
	"ago": ago, "at": at, "clock": clock, "timeofday": timeOfDay, "span": span, "since": time.Time.Sub, "rfc": rfc,
	"took": took, "rate": rate, "percent": percent, "share": share, "seconds": seconds, "size": size, "count": count,
	"cut": cut, "short": short, "plural": plural, "lower": strings.ToLower, "shortname": shortName, "plain": plain,
	"rulewords": ruleWords, "problem": problem, "hint": rhumb.ErrorHint, "asset": asset,
	"spark": chart.Spark, "meter": meter,
	"deployed": func(d *rhumb.Deployment) standing { return standingOfDeployment(*d) },
	"list":     func(items ...any) []any { return items },
}

// ago returns a time as how long ago it was, with the time itself on hover: "3m ago", "in 2d", "never".
func ago(now, t time.Time) template.HTML {
	text := ""
	switch d := now.Sub(t); {
	case t.IsZero():
		return "never"
	case d < -time.Second:
		text = "in " + rhumb.Span(-d)
	case d < time.Second:
		text = "now"
	default:
		text = rhumb.Span(d) + " ago"
	}
	return timed(t, text)
}

// at returns a time as a person would say it: "14:36", "yesterday 17:02", "3 Nov 09:12", "3 Nov 2025".
func at(now, t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return timed(t, spoken(now, t, "15:04"))
}

// clock returns a time to the second: "14:36:02", with its day if that isn't today.
func clock(now, t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	return timed(t, spoken(now, t, "15:04:05"))
}

// timeOfDay returns a time without its day: "14:36:02".
func timeOfDay(t time.Time) template.HTML { return timed(t, t.Local().Format("15:04:05")) }

// share returns a part of a whole, as a ratio.
func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return part / whole
}

func spoken(now, t time.Time, hours string) string {
	now, t = now.Local(), t.Local()
	day := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	switch days := int(day(now).Sub(day(t)).Hours() / 24); {
	case days == 0:
		return t.Format(hours)
	case days == 1:
		return "yesterday " + t.Format(hours)
	case days == -1:
		return "tomorrow " + t.Format(hours)
	case t.Year() == now.Year():
		return t.Format("2 Jan " + hours)
	}
	return t.Format("2 Jan 2006")
}

// timed returns a time in words, as HTML. None of its parts comes from anywhere else.
func timed(t time.Time, text string) template.HTML {
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.UTC().Format(time.RFC3339),
		t.Local().Format("Mon 2 Jan 2006, 15:04:05 MST"), text))
}

// rfc returns a time as an address's parameter has it; "" for the zero time.
func rfc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// span returns how long ago a time was: "3h".
func span(now, t time.Time) string { return rhumb.Span(now.Sub(t)) }

// took returns how long something took, as precisely as it matters: "0.34 s", "12 s", "3 m 20 s".
func took(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d m %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d m", int(d.Hours()), int(d.Minutes())%60)
}

// rate returns something per second: "43.1/s", "0.02/s", "12k/s".
func rate(v float64) string {
	switch {
	case v == 0:
		return "0/s"
	case v < 0.01:
		return "<0.01/s"
	case v < 1:
		return strconv.FormatFloat(v, 'f', 2, 64) + "/s"
	case v < 1000:
		return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
	}
	return strconv.FormatFloat(v/1000, 'f', 1, 64) + "k/s"
}

// percent returns a ratio: "0.02%", "12%".
func percent(v float64) string {
	switch v *= 100; {
	case v == 0 || v >= 10:
		return strconv.FormatFloat(v, 'f', 0, 64) + "%"
	case v < 0.01:
		return "<0.01%"
	case v < 1:
		return strconv.FormatFloat(v, 'f', 2, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + "%"
}

// seconds returns a time in seconds: "38 ms", "1.2 s".
func seconds(v float64) string {
	switch {
	case v < 0.001:
		return "<1 ms"
	case v < 1:
		return strconv.FormatFloat(v*1000, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}

// size returns a number of bytes: "3 kB", "1.2 GB".
func size(v float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for ; v >= 999.5 && i < len(units)-1; i++ {
		v /= 1000
	}
	digits := 0
	if i > 0 && v < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + units[i]
}

// count returns a number with its thousands apart: "12,040".
func count(n any) string {
	text := fmt.Sprint(n)
	if f, ok := n.(float64); ok {
		text = strconv.FormatFloat(math.Round(f), 'f', -1, 64)
	}
	digits := strings.TrimPrefix(text, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if strings.HasPrefix(text, "-") {
		return "-" + digits
	}
	return digits
}

// plural returns a number and its noun: "1 service", "3 services".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// cut returns at most n characters of a text.
func cut(n int, text string) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// short returns the beginning of a commit's hash.
func short(commit string) string { return commit[:min(7, len(commit))] }

// shortName returns a replica's name without its stack: "web.42.1".
func shortName(stack, replica string) string { return strings.TrimPrefix(replica, stack+"-") }

// problem returns an error in words. Foreign errors may contain anything, so they stay in the log.
func problem(err error) string {
	var e *rhumb.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return "an error that was not foreseen; the log of rhumb observe has it"
}

// meter draws how full something is.
func meter(title string, share float64) template.HTML { return chart.Meter(title, share, 0.75, 0.9) }

func urlQuery(s string) string { return url.QueryEscape(s) }

// sequences are the escape sequences of terminals.
var sequences = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(\x07|\x1b\\\\)?|\x1b[ -/]*[0-~]")

// plain returns a text without the escape sequences of terminals.
func plain(s string) string { return sequences.ReplaceAllString(s, "") }

// visible returns a page in which no character hides, or turns what stands beside it around: control characters and
// marks of direction are written out, as in Go. Pages themselves have none of these, so all of them come from texts.
func visible(pageText []byte) []byte {
	text := string(pageText)
	if !strings.ContainsFunc(text, hides) && utf8.ValidString(text) {
		return pageText
	}
	var b strings.Builder
	for _, r := range text {
		if hides(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(cmp.Or(strings.Trim(quoted, "'"), "?"))
			continue
		}
		b.WriteRune(r)
	}
	return []byte(b.String())
}

// hides reports whether a character is one that a page writes out.
func hides(r rune) bool {
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return false
	case r == '\u200d': // joins emoji
		return false
	case r >= '\u200b' && r <= '\u200f', r == '\u2028', r == '\u2029', r == '\ufeff', r == '\u061c':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}
