package diff

import (
	"fmt"
	"strings"
	"time"

	"rhumb"
)

// logDiff says how long and how much is kept of the logs of b, unless it is the same for a. Logs of a stack that goes
// down stay as they are.
func logDiff(a, b *rhumb.Stack) []string {
	if b == nil {
		return nil
	}
	var was rhumb.LogLimits
	if a != nil {
		was = a.Logs
	}
	is := b.Logs.OrDefault()
	if is == was.OrDefault() {
		return nil
	}
	return []string{fmt.Sprintf("logs are kept for %s, at most %s", spanWords(is.Keep), sizeWords(is.Size))}
}

// spanWords returns an exact duration as Compose files have it: "30d", "36h", "1h30m".
func spanWords(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if d%time.Minute == 0 {
		s = strings.TrimSuffix(s, "0s")
	}
	if d%time.Hour == 0 {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// sizeWords returns an exact number of bytes in the units of Compose files, in which 1 GB is 1024 MB.
func sizeWords(n int64) string {
	unit := 0
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	for ; n > 0 && n%1024 == 0 && unit < len(units)-1; unit++ {
		n /= 1024
	}
	return fmt.Sprintf("%d %s", n, units[unit])
}
