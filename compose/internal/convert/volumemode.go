package convert

import (
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"

	"rhumb/compose/internal/place"
)

// volumeModes are the modes of the short syntax by kind. A mount has at most one mode of each kind. On Linux
// consistency has no effect.
var volumeModes = map[string]string{
	"ro": "access", "rw": "access", "z": "label", "Z": "label", "nocopy": "copy",
	"private": propagation, "rprivate": propagation, "shared": propagation, "rshared": propagation,
	"slave": propagation, "rslave": propagation,
	"cached": "consistency", "delegated": "consistency", "consistent": "consistency",
}

const (
	propagation     = "propagation"
	modesHint       = "the modes are ro, rw, z, Z, nocopy, and for paths private, shared, slave, rprivate, rshared, rslave"
	propagationHint = "choose private, shared, slave, rprivate, rshared or rslave"
)

// VolumeModes checks the modes of a volume in the short syntax, which the library ignores. It returns what is wrong,
// and a hint.
func VolumeModes(volume string) (reason, hint string) {
	rest, modes, said := cutLast(volume)
	source, target, mounts := cutLast(rest)
	if !said || !mounts || !strings.HasPrefix(target, "/") || strings.HasPrefix(modes, "/") {
		return "", "" // no mode, or a mistake that is reported elsewhere
	}
	seen := map[string]string{}
	for mode := range strings.SplitSeq(modes, ",") {
		kind, ok := volumeModes[mode]
		switch other := seen[kind]; {
		case !ok && mode == "":
			return "a mode is missing after the last colon", modesHint
		case !ok:
			hint = modesHint
			if c := place.Closest(mode, []string{"ro", "rw", "nocopy", "private", "shared", "slave"}); c != "" && len(mode) > 1 {
				hint = "did you mean " + c + "? " + modesHint
			}
			return "unknown mode \"" + mode + "\"", hint
		case other != "":
			return other + " and " + mode + " don't go together", "keep one of them"
		case kind == propagation && !isPath(source):
			return mode + " is for paths of the server, and " + source + " is a volume", "leave it out"
		}
		seen[kind] = mode
	}
	return "", ""
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// isPath reports whether the source in the short syntax is a path, not a volume.
func isPath(source string) bool { return source != "" && strings.ContainsRune("./~", rune(source[0])) }

// isPropagation reports whether a mount's propagation is one.
func isPropagation(word string) bool { return slices.Contains(format.Propagations, word) }
