package compose

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"rhumb/compose/internal/convert"
	"rhumb/compose/internal/place"
)

// port checks a port in the short syntax, which the library reports without a place. It returns how many ports the
// entry is.
func (v *inspector) port(s scope, path string, n *yaml.Node) int {
	value, absents, err := interpolated(n.Value, s.lookup)
	if err != nil || len(absents) > 0 && !v.in.opts.AllowUnset {
		return 1 // reported elsewhere
	}
	count, reason, hint := convert.ShortPort(value)
	if value == "" {
		reason = "it is empty" + because(absents)
	}
	if reason != "" {
		v.wrong(s, n, n.Line, place.Subject(path)+": "+reason, hint)
	}
	return count
}

// volume checks the short syntax of a volume for empty parts and wrong modes.
func (v *inspector) volume(s scope, path string, n *yaml.Node) {
	value, absents, err := interpolated(n.Value, s.lookup)
	if err != nil || len(absents) > 0 && !v.in.opts.AllowUnset {
		return // reported elsewhere
	}
	switch {
	case value == "":
		v.wrong(s, n, n.Line, place.Subject(path)+": it is empty"+because(absents), volumeHint)
	case value[0] == ':':
		v.wrong(s, n, n.Line, place.Subject(path)+": the source before the colon is empty"+because(absents), volumeHint)
	default:
		reason, hint := convert.VolumeModes(value)
		if reason == "" && (strings.HasSuffix(value, ":") || strings.Contains(value, "::")) {
			reason, hint = "a part between colons, or after the last colon, is empty"+because(absents), volumeHint
		}
		if reason != "" {
			v.wrong(s, n, n.Line, place.Subject(path)+": "+reason, hint)
		}
	}
}

const volumeHint = "write it as source:/target, with :ro if it isn't written to"

// because returns the clause that names the unset variables of a value.
func because(absents []absent) string {
	var names []string
	for _, a := range absents {
		names = append(names, a.name)
	}
	if len(names) == 0 {
		return ""
	}
	return ", because " + place.Or(names) + " is not set"
}
