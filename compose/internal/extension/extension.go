// Package extension reads x-rhumb, rhumb's extension of a service and of a stack in a Compose file.
package extension

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
	"rhumb/internal/alertrule"
)

// Service is the content of a service's x-rhumb. The zero value is that of a service without x-rhumb.
type Service struct {
	Routes      []rhumb.Route
	Options     []*Options // of the routes, one each; nil for one without
	HTTP        *Options   // of all HTTP routes and ports; nil if not set
	Sticky      bool
	Strategy    rhumb.Strategy // "" if not set
	Ready       rhumb.Ready
	Drain, Hold *time.Duration                    // nil if not set
	Hooks       map[rhumb.HookKind]*time.Duration // the time limits
	After       *rhumb.Check
	TLS         *TLS // nil if not set
	AccessLog   bool
	Metrics     *rhumb.Scrape // nil if not set
	Alerts      []rhumb.AlertRule
	SendProxy   rhumb.ProxyProtocol // "" if not set
	AcceptProxy bool
	Limits      []rhumb.Limit // those of routes too
	Bans        rhumb.Bans
}

// Read reads the x-rhumb of a service. raw is the Compose library's value, or nil if the service has none. Mistakes go
// to bad.
func Read(bad *place.Problems, of alertrule.Scope, raw any) Service {
	if raw == nil {
		return Service{}
	}
	x := Service{}
	r := reader{bad, "services." + of.Service + "." + keys.Extension}
	fields := r.fields(raw, slices.Concat(keys.ExtensionFields, []string{"canary", "blue_green"})...)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		v, at := fields[name], r.below(name)
		if readDoor(&x, at, name, v) {
			continue
		}
		switch name {
		case "strategy":
			x.Strategy = at.strategy(v)
		case "ready":
			x.Ready = at.ready(v)
		case "drain":
			x.Drain = at.time(v)
		case "hold":
			x.Hold = at.time(v)
		case "hooks":
			x.Hooks = at.hooks(v)
		case "after":
			x.After = at.after(v)
		case "tls":
			x.TLS = at.tls(v)
		case "access_log":
			x.AccessLog = at.yes(v)
		case "metrics":
			x.Metrics = readMetrics(at, v)
		case "alerts":
			x.Alerts = readAlerts(at, v, of)
		default:
			at.wrong("leave it out", "it comes with a later version")
		}
	}
	return x
}

// readDoor reads a field about what clients may send, and what the proxy does with it. It reports whether it is one.
func readDoor(x *Service, at reader, name string, v any) bool {
	switch name {
	case "routes":
		x.Routes, x.Options = at.routes(v)
		x.Limits = append(x.Limits, readRouteLimits(at, v, x.Routes)...)
	case "http":
		x.HTTP = optionReader{at}.options(at.fields(v, OptionFields...))
	case "sticky":
		x.Sticky = at.yes(v)
	case "proxy_protocol":
		x.SendProxy, x.AcceptProxy = readProxyProtocol(at, v)
	case "limits":
		x.Limits = append(readLimits(at, v), x.Limits...)
	case "bans":
		x.Bans = readBans(at, v)
	default:
		return false
	}
	return true
}

// reader reads the values at a path and reports mistakes.
type reader struct {
	bad  *place.Problems
	path string
}

func (r reader) below(name string) reader { return reader{r.bad, r.path + "." + name} }
func (r reader) item(i int) reader        { return reader{r.bad, fmt.Sprintf("%s[%d]", r.path, i)} }

func (r reader) wrong(hint, format string, args ...any) { r.bad.At(r.path, hint, format, args...) }

// fields returns a mapping's fields. Unknown fields are mistakes.
func (r reader) fields(v any, known ...string) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		r.wrong("it has the fields "+strings.Join(known, ", "), "it must be a mapping")
		return nil
	}
	good := map[string]any{}
	for k, v := range m {
		if !slices.Contains(known, k) {
			r.below(k).wrong(hint(r.path, k, known), "unknown field")
			continue
		}
		good[k] = v
	}
	return good
}

// hint returns the hint for an unknown field of the mapping at a path. The field may belong to the other x-rhumb.
func hint(path, name string, known []string) string {
	switch {
	case path == keys.Extension && slices.Contains(keys.ExtensionFields, name):
		return "move it to x-rhumb of a service"
	case strings.HasSuffix(path, "."+keys.Extension) && slices.Contains(keys.StackFields, name):
		return "move it to x-rhumb at the top level"
	}
	return place.DidYouMean(name, known)
}

// shown returns a value for messages.
func shown(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return fmt.Sprint(v)
}

func (r reader) text(v any) string {
	s, ok := v.(string)
	if !ok {
		r.wrong("", "it must be a string")
	}
	return s
}

func (r reader) time(v any) *time.Duration {
	if n, ok := v.(int); ok && n == 0 {
		return new(time.Duration)
	}
	s, ok := v.(string)
	d, err := time.ParseDuration(s)
	if !ok || err != nil || d < 0 || d > 24*time.Hour {
		r.wrong(place.TimeHint, "%v is not a time from 0s to 24h", shown(v))
		return nil
	}
	return &d
}

// yes reads true or false, or one of them as a string from interpolation.
func (r reader) yes(v any) bool {
	switch v {
	case true, "true":
		return true
	case false, "false":
	default:
		r.wrong("write true or false", "%v is neither true nor false", shown(v))
	}
	return false
}

// wholeNumber returns a number, or that in a string from interpolation.
func wholeNumber(v any) (n int, ok bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	}
	return 0, false
}

// readNumber reads a number from least to most. After a mistake it returns the least.
func readNumber(r reader, v any, least, most int) int {
	n, ok := wholeNumber(v)
	if !ok || n < least || n > most {
		r.wrong("", "%v is not a number from %d to %d", shown(v), least, most)
		return least
	}
	return n
}

func (r reader) port(v any) uint16 {
	n, ok := wholeNumber(v)
	if !ok || n < 1 || n > math.MaxUint16 {
		r.wrong("ports go from 1 to 65535", "%v is not a port", shown(v))
		return 0
	}
	return uint16(n)
}

func (r reader) strategy(v any) rhumb.Strategy {
	switch s := rhumb.Strategy(r.text(v)); s {
	case rhumb.StrategyRolling, rhumb.StrategyRecreate:
		return s
	case "canary", "blue-green":
		r.wrong("choose rolling or recreate", "%s comes with a later version", s)
	default:
		r.wrong("choose rolling or recreate", "unknown strategy %q", s)
	}
	return ""
}

func (r reader) ready(v any) rhumb.Ready {
	fields := r.fields(v, "http", "tcp", "port", "timeout")
	out := rhumb.Ready{}
	if v, ok := fields["http"]; ok {
		out.Kind, out.Path = rhumb.ReadyHTTP, r.below("http").askedPath(v)
	}
	if v, ok := fields["tcp"]; ok {
		if out.Kind != "" {
			r.wrong("keep one of them", "http and tcp are both set")
		}
		out.Kind = rhumb.ReadyTCP
		switch on, isBool := v.(bool); {
		case !isBool:
			out.Port = r.below("tcp").port(v)
		case !on:
			r.below("tcp").wrong("leave it out, or write the port", "it can't be false")
		}
	}
	if v, ok := fields["port"]; ok {
		if out.Kind == "" {
			r.below("port").wrong("add http or tcp", "it needs http or tcp")
		}
		out.Port = r.below("port").port(v)
	}
	if v, ok := fields["timeout"]; ok {
		if d := r.below("timeout").time(v); d != nil {
			out.Timeout = *d
		}
	}
	return out
}
