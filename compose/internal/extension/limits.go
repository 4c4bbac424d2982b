package extension

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

const (
	rateHint = "write it as 20/s, 100/m, 1000/h or 5000/d"
	byHint   = "write client, route, or header:NAME"
)

var sizesOfBodies = sizes{1, mostSize, "from 1 byte to 1PB", "write it as 500MB or 1GB"}

// readLimits reads x-rhumb.limits: a mapping, or a list of mappings.
func readLimits(r reader, v any) []rhumb.Limit {
	list, ok := v.([]any)
	if !ok {
		return []rhumb.Limit{limitReader{r}.limit(v)}
	}
	var limits []rhumb.Limit
	for i, item := range list {
		limits = append(limits, limitReader{r.item(i)}.limit(item))
	}
	return limits
}

// readRouteLimits reads the limits of single routes. v is what the routes were read from.
func readRouteLimits(r reader, v any, routes []rhumb.Route) []rhumb.Limit {
	var limits []rhumb.Limit
	list, _ := v.([]any)
	for i, item := range list {
		fields, _ := item.(map[string]any)
		if v, ok := fields["limits"]; ok {
			for _, l := range readLimits(r.item(i).below("limits"), v) {
				l.Route = routes[i].Address()
				limits = append(limits, l)
			}
		}
	}
	return limits
}

// limitReader reads a limit, or a part of one.
type limitReader struct{ reader }

func (r limitReader) below(name string) limitReader { return limitReader{r.reader.below(name)} }
func (r limitReader) item(i int) limitReader        { return limitReader{r.reader.item(i)} }

// limit reads one limit.
func (r limitReader) limit(v any) rhumb.Limit {
	l := rhumb.Limit{}
	fields := r.fields(v, "rate", "burst", "by", "paths", "connections", "body", "status", "mode")
	if fields == nil {
		return l
	}
	if v, ok := fields["rate"]; ok {
		l.Rate = r.below("rate").rate(v)
		l.Burst = min(l.Rate.Count, rhumb.MaxBurst)
	}
	if v, ok := fields["burst"]; ok {
		l.Burst = readNumber(r.below("burst").reader, v, 0, rhumb.MaxBurst)
	}
	if v, ok := fields["by"]; ok {
		l.By = r.below("by").by(v)
	}
	if v, ok := fields["paths"]; ok {
		l.Paths = r.below("paths").paths(v)
	}
	if v, ok := fields["connections"]; ok {
		l.Connections = readNumber(r.below("connections").reader, v, 1, rhumb.MaxCount)
	}
	if v, ok := fields["body"]; ok {
		l.Body = r.below("body").size(v, sizesOfBodies)
	}
	if v, ok := fields["status"]; ok {
		l.Status = readNumber(r.below("status").reader, v, 400, 599)
	}
	if v, ok := fields["mode"]; ok {
		l.Observe = r.below("mode").observes(v)
	}
	r.complete(fields)
	return l
}

// complete reports limits that limit nothing, or say how without saying what.
func (r limitReader) complete(fields map[string]any) {
	_, rate := fields["rate"]
	_, connections := fields["connections"]
	_, body := fields["body"]
	_, burst := fields["burst"]
	_, by := fields["by"]
	switch {
	case !rate && !connections && !body:
		r.wrong("add rate, connections or body", "it limits nothing")
	case burst && !rate:
		r.below("burst").wrong("add rate, such as 20/s", "it needs a rate")
	case by && !rate && !connections:
		r.below("by").wrong("leave it out", "a limit of bodies counts nothing")
	}
}

var rateText = regexp.MustCompile(`^([0-9]{1,7})/([smhd])$`)

func (r limitReader) rate(v any) rhumb.Rate {
	s, _ := v.(string)
	m := rateText.FindStringSubmatch(strings.ReplaceAll(s, " ", ""))
	if m == nil {
		r.wrong(rateHint, "%v is not a rate", shown(v))
		return rhumb.Rate{}
	}
	n, _ := strconv.Atoi(m[1]) // digits
	if n < 1 || n > rhumb.MaxCount {
		r.wrong(rateHint, "%d is not from 1 to %d", n, rhumb.MaxCount)
		return rhumb.Rate{}
	}
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day}[m[2]]
	return rhumb.Rate{Count: n, Per: per}
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)

func (r limitReader) by(v any) rhumb.LimitBy {
	s := r.text(v)
	switch by := rhumb.LimitBy(s); {
	case by == rhumb.ByClient, by == rhumb.ByRoute:
		return by
	case strings.HasPrefix(s, string(rhumb.ByHeader)):
		name := strings.TrimSpace(strings.TrimPrefix(s, string(rhumb.ByHeader)))
		if headerName.MatchString(name) && len(name) <= 100 {
			return rhumb.ByHeader + rhumb.LimitBy(name)
		}
	}
	r.wrong(byHint, "%q is nothing to count by", s)
	return ""
}

// paths reads a path, or a list of them.
func (r limitReader) paths(v any) []string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var paths []string
	for i, item := range list {
		at := r
		if ok {
			at = r.item(i)
		}
		s := at.text(item)
		if !strings.HasPrefix(s, "/") || strings.ContainsAny(strings.TrimSuffix(s, "*"), " ?#*;\r\n\\") ||
			strings.Contains(s, "//") {
			at.wrong("write it as /login, or as /wp-* for any ending", "%q is not a path", s)
			continue
		}
		paths = append(paths, s)
	}
	if len(paths) == 0 && len(list) == 0 {
		r.wrong("leave it out for all paths", "the list is empty")
	}
	return paths
}

// observes reads the mode of a limit.
func (r limitReader) observes(v any) bool {
	switch s := r.text(v); s {
	case "observe":
		return true
	case "enforce":
	default:
		r.wrong("write enforce or observe", "unknown mode %q", s)
	}
	return false
}
