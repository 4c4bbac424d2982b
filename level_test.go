package rhumb

import (
	"encoding/json"
	"testing"
)

func TestALevelIsWrittenByItsName(t *testing.T) {
	for _, name := range append(LevelNames(), "") {
		l, err := ParseLevel(name)
		if err != nil || l.String() != name {
			t.Errorf("%q is read as %q, %v", name, l, err)
		}
		b, err := json.Marshal(LogLine{Level: l})
		var again LogLine
		if err == nil {
			err = json.Unmarshal(b, &again)
		}
		if err != nil || again.Level != l {
			t.Errorf("%s is read as %q, %v", b, again.Level, err)
		}
	}
	if LevelError.String() != "error" || LevelTrace.String() != "trace" || Level(100).String() != "" {
		t.Error("the names are not those of the levels")
	}
	if _, err := ParseLevel("loud"); ErrorCode(err) != Invalid {
		t.Errorf("a level that doesn't exist: %v", err)
	}
}
