package doctor

import (
	"fmt"
	"time"

	"rhumb"
)

// failsLong is how long a destination of logs may fail before it is reported: its receiver may only be restarting.
const failsLong = time.Minute

// forwardingCheck reports destinations of logs that fail or have lost lines.
func forwardingCheck(f Facts) []Finding {
	const check = "forwarding"
	var found []Finding
	for _, d := range f.Server.Destinations {
		if d.Lost > 0 {
			found = append(found, Finding{check, Warning, fmt.Sprintf("%s: %d lines are lost%s", d.URL, d.Lost, lastError(d)),
				"this server still has them: rhumb logs; removing the destination's queue ends the warning"})
		}
		if lasts := f.At.Sub(d.FailingSince); !d.FailingSince.IsZero() && lasts > failsLong {
			found = append(found, Finding{check, Warning, fmt.Sprintf("%s: fails for %s, and %d lines wait%s",
				d.URL, rhumb.Span(lasts), d.WaitingLines, lastError(d)),
				"repair the receiver or its URL; when the queue is full, its oldest lines are lost"})
		}
	}
	if len(found) == 0 && len(f.Server.Destinations) > 0 {
		return []Finding{{check, OK, fmt.Sprintf("%d, all good", len(f.Server.Destinations)), ""}}
	}
	return found
}

func lastError(d rhumb.LogDestination) string {
	if d.LastError == "" {
		return ""
	}
	return ": " + d.LastError
}
