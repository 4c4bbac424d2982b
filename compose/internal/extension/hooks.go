package extension

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/place"
)

// The default time limits of hooks and checks.
const (
	PreStartTimeout = 10 * time.Minute
	HookTimeout     = time.Minute
)

// hooks reads the time limits of the hooks by kind.
func (r reader) hooks(v any) map[rhumb.HookKind]*time.Duration {
	limits := map[rhumb.HookKind]*time.Duration{}
	fields := r.fields(v, string(rhumb.HookPreStart), string(rhumb.HookPostStart), string(rhumb.HookPreStop))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at := r.below(name)
		d := at.time(fields[name])
		if d != nil && *d == 0 {
			at.wrong(place.TimeHint, "a hook can't take no time at all")
		}
		limits[rhumb.HookKind(name)] = d
	}
	return limits
}

// after reads a check.
func (r reader) after(v any) *rhumb.Check {
	fields := r.fields(v, "command", "http", "port", "timeout")
	out := rhumb.Check{Timeout: HookTimeout}
	if v, ok := fields["command"]; ok {
		out.Command = r.below("command").command(v)
	}
	if v, ok := fields["http"]; ok {
		out.Path = r.below("http").askedPath(v)
	}
	if v, ok := fields["port"]; ok {
		if out.Path == "" {
			r.below("port").wrong("add http", "it needs http")
		}
		out.Port = r.below("port").port(v)
	}
	if v, ok := fields["timeout"]; ok {
		if d := r.below("timeout").time(v); d != nil {
			out.Timeout = *d
		}
	}
	if fields != nil && fields["command"] == nil && fields["http"] == nil {
		r.wrong("add command or http", "it needs command or http")
	}
	return &out
}

// command reads a command: a list, or a line that is split the way Compose does.
func (r reader) command(v any) []string {
	if list, ok := v.([]any); ok &&
		slices.ContainsFunc(list, func(e any) bool { _, isText := e.(string); return !isText }) {
		r.wrong("write it as [smoke-test, --quick]", "it must be a list of strings")
		return nil
	}
	var words types.ShellCommand
	if err := words.DecodeMapstructure(v); err != nil || len(words) == 0 {
		r.wrong("write it as [smoke-test, --quick]", "%v is not a command", shown(v))
	}
	return []string(words)
}

// askedPath reads the path of an HTTP check.
func (r reader) askedPath(v any) string {
	path := r.text(v)
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \r\n") {
		r.wrong("write it as /alive", "%q is not a path", path)
	}
	return path
}
