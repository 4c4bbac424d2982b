package rhumb

import (
	"slices"
	"strings"
)

// levelNames are the names of the levels, in order.
var levelNames = []string{"", "trace", "debug", "info", "warn", "error", "fatal"}

// LevelNames returns the names of all levels but LevelUnknown, in order.
func LevelNames() []string { return slices.Clone(levelNames[1:]) }

// ParseLevel returns the level of that name; "" is LevelUnknown. Any other name is Invalid.
func ParseLevel(name string) (Level, error) {
	if i := slices.Index(levelNames, name); i >= 0 {
		return Level(i), nil
	}
	return LevelUnknown, Errorf(Invalid, "%q is not a level", name).
		WithHint("the levels are %s", strings.Join(levelNames[1:], ", "))
}

// String returns the level's name; that of LevelUnknown is "".
func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return ""
	}
	return levelNames[l]
}

// MarshalText returns the level's name, which is the level's form in JSON.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText sets the level by its name. Its errors are those of ParseLevel.
func (l *Level) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLevel(string(b))
	return err
}
