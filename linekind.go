package rhumb

import (
	"slices"
	"strings"
)

// lineKinds are the kinds of lines.
var lineKinds = []LineKind{LineOutput, LineHook, LineAccess, LineEvent, LineDaemon, LineProxy}

// String returns the name of a kind; that of LineOutput is "output".
func (k LineKind) String() string {
	if k == LineOutput {
		return "output"
	}
	return string(k)
}

// LineKindNames returns the names of all kinds.
func LineKindNames() []string {
	names := make([]string, len(lineKinds))
	for i, k := range lineKinds {
		names[i] = k.String()
	}
	return names
}

// ParseLineKind returns the kind of that name. Any other name is Invalid.
func ParseLineKind(name string) (LineKind, error) {
	if i := slices.Index(LineKindNames(), name); i >= 0 {
		return lineKinds[i], nil
	}
	return LineOutput, Errorf(Invalid, "there are no lines of kind %q", name).
		WithHint("the kinds are %s", strings.Join(LineKindNames(), ", "))
}

// ChosenKinds returns the kinds of lines that a query chooses.
func (q LogQuery) ChosenKinds() []LineKind {
	if len(q.Kinds) == 0 {
		return []LineKind{LineOutput, LineHook, LineAccess}
	}
	return q.Kinds
}
