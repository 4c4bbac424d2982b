package why

import (
	"fmt"
	"time"

	"rhumb/observe/why/pattern"
)

// percent returns a share in percent, with at most three digits.
func percent(v float64) string {
	switch p := 100 * v; {
	case p == 0:
		return "0%"
	case p < 0.01:
		return "less than 0.01%"
	case p < 9.95:
		return fmt.Sprintf("%.2g%%", p)
	default:
		return fmt.Sprintf("%.0f%%", p)
	}
}

// seconds returns a duration in seconds as people write it.
func seconds(v float64) string {
	d := time.Duration(v * float64(time.Second))
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2g ms", 1000*v)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", 1000*v)
	case d < time.Minute:
		return fmt.Sprintf("%.3g s", v)
	}
	return d.Round(time.Second).String()
}

// bytes returns a size as people write it.
func bytes(v float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for ; v >= 1000 && i < len(units)-1; i++ {
		v /= 1000
	}
	return number(v) + " " + units[i]
}

// number returns a number with three digits.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v < 0.005:
		return "0"
	}
	return fmt.Sprintf("%.3g", v)
}

// title names a service.
func title(stack, service string) string {
	switch {
	case stack == "":
		return "the machine"
	case service == "":
		return stack
	}
	return stack + "/" + service
}

// clip returns a foreign text as a part of a sentence.
func clip(text string) string { return pattern.Clip(text, 160) }

// clock returns a time of the day as the reader's clock shows it: in the zone of the query.
func (r *records) clock(at time.Time) string {
	at = at.In(r.q.Until.Location())
	if r.q.Until.Sub(r.q.Since) > 20*time.Hour {
		return at.Format("Jan 2 15:04")
	}
	return at.Format("15:04")
}
