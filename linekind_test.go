package rhumb

import (
	"slices"
	"testing"
)

func TestAKindOfLinesIsReadByItsName(t *testing.T) {
	for _, name := range LineKindNames() {
		k, err := ParseLineKind(name)
		if err != nil || k.String() != name || (k == LineOutput) != (name == "output") {
			t.Errorf("%q is read as %q, %v", name, k, err)
		}
	}
	for _, name := range []string{"", "other"} {
		if _, err := ParseLineKind(name); ErrorCode(err) != Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if kinds := (LogQuery{}).ChosenKinds(); !slices.Equal(kinds, []LineKind{LineOutput, LineHook, LineAccess}) {
		t.Errorf("a query without kinds chooses %v", kinds)
	}
}
