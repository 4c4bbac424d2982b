package diff

import (
	"fmt"

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
	return []string{fmt.Sprintf("logs are kept for %s, at most %s", rhumb.ExactSpan(is.Keep), sizeWords(is.Size))}
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
