package chart

import "time"

// tick is a time that the axis names.
type tick struct {
	at    time.Time
	label string
}

const maxTicks = 7

var clockSteps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

const day = 24 * time.Hour

// timeTicks returns the handy times within a span that begins not much before year 1 and ends not much after year
// 9999, in a zone.
func timeTicks(s span, zone *time.Location) []tick {
	from := s.from.In(zone)
	midnight := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, zone)
	length := s.to.Sub(s.from)
	for _, step := range clockSteps {
		if length/step < maxTicks {
			return clockTicks(s, midnight, step)
		}
	}
	days := 1
	for length/(time.Duration(days)*day) >= maxTicks {
		days *= 2
	}
	layout := "2 Jan"
	if days > 100 {
		layout = "Jan 2006"
	}
	var ticks []tick
	for t := midnight; !t.After(s.to) && len(ticks) <= maxTicks; t = t.AddDate(0, 0, days) {
		if s.has(t) {
			ticks = append(ticks, tick{t, t.Format(layout)})
		}
	}
	return ticks
}

// clockTicks returns the multiples of a step since midnight. Midnight itself is named by its day.
func clockTicks(s span, midnight time.Time, step time.Duration) []tick {
	layout := "15:04"
	if step < time.Minute {
		layout = "15:04:05"
	}
	var ticks []tick
	skip := s.from.Sub(midnight) / step
	for t := midnight.Add(skip * step); !t.After(s.to) && len(ticks) <= maxTicks; t = t.Add(step) {
		if !s.has(t) {
			continue
		}
		label := t.Format(layout)
		if t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0 {
			label = t.Format("2 Jan")
		}
		ticks = append(ticks, tick{t, label})
	}
	return ticks
}
