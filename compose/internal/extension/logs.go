package extension

import (
	"regexp"
	"strconv"
	"time"

	units "github.com/docker/go-units"

	"rhumb"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
	"rhumb/internal/alertrule"
)

// Stack is the content of the top-level x-rhumb. The zero value is that of a stack without x-rhumb.
type Stack struct {
	Logs   rhumb.LogLimits
	Alerts []rhumb.AlertRule
}

// ReadStack reads the top-level x-rhumb of a stack. raw is the Compose library's value, or nil if there is none.
// Mistakes go to bad.
func ReadStack(bad *place.Problems, stack string, raw any) Stack {
	x := Stack{}
	if raw == nil {
		return x
	}
	r := reader{bad, keys.Extension}
	fields := r.fields(raw, keys.StackFields...)
	if v, ok := fields["logs"]; ok {
		x.Logs = r.below("logs").logs(v)
	}
	if v, ok := fields["alerts"]; ok {
		x.Alerts = readAlerts(r.below("alerts"), v, alertrule.Scope{Stack: stack})
	}
	return x
}

// logs reads the limits of a stack's logs.
func (r reader) logs(v any) rhumb.LogLimits {
	var l rhumb.LogLimits
	fields := r.fields(v, "keep", "size")
	if v, ok := fields["keep"]; ok {
		l.Keep = r.below("keep").days(v, time.Hour, longestKeep, "from 1h to 3650d")
	}
	if v, ok := fields["size"]; ok {
		l.Size = r.below("size").size(v, sizesOfLogs)
	}
	return l
}

const (
	day         = 24 * time.Hour
	longestKeep = 3650 * day
	mostSize    = 1 << 50
)

// sizes are those that a field may have.
type sizes struct {
	least, most int64
	between     string // in words
	hint        string
}

var sizesOfLogs = sizes{16 << 20, mostSize, "from 16MB to 1PB", "write it as 500MB or 1GB"}

// size reads a number of bytes, or a string with a unit as elsewhere in Compose: 1 GB is 1024 MB.
func (r reader) size(v any, of sizes) int64 {
	s, ok := v.(string)
	if n, isInt := v.(int); isInt {
		s, ok = strconv.Itoa(n), true
	}
	n, err := units.RAMInBytes(s)
	if !ok || err != nil || n < of.least || n > of.most {
		r.wrong(of.hint, "%v is not a size %s", shown(v), of.between)
		return 0
	}
	return n
}

var inDays = regexp.MustCompile(`^([0-9]{1,4})d$`)

// days reads a duration that may be in days: 180d. between is the range in words.
func (r reader) days(v any, least, most time.Duration, between string) time.Duration {
	s, _ := v.(string)
	d, err := time.ParseDuration(s)
	if m := inDays.FindStringSubmatch(s); m != nil {
		var n int
		n, err = strconv.Atoi(m[1])
		d = time.Duration(n) * day
	}
	if err != nil || d < least || d > most {
		r.wrong("write it as 180d or 12h", "%v is not a time %s", shown(v), between)
		return 0
	}
	return d
}
