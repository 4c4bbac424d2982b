package parse

import (
	"strconv"
	"strings"

	"rhumb"
)

// levelFields are the names of fields that hold a level, the most telling first.
var levelFields = [...]string{"level", "severity", "lvl", "log.level", "loglevel", "log_level", "levelname",
	"severity_text", "@l", "Level", "LEVEL", "LogLevel", "priority"}

// fieldLevel returns the level that the fields of a line say.
func fieldLevel(fields map[string]string) rhumb.Level {
	for _, name := range levelFields {
		v, ok := fields[name]
		if !ok || v == "" {
			continue
		}
		if n, err := strconv.Atoi(v); err == nil {
			if l := numberLevel(n); l != rhumb.LevelUnknown {
				return l
			}
			continue
		}
		if l := wordLevel(v); l != rhumb.LevelUnknown {
			return l
		}
	}
	if s := fields["s"]; len(s) == 1 && fields["c"] != "" && fields["t.$date"] != "" { // MongoDB
		return letterLevel(s[0])
	}
	return rhumb.LevelUnknown
}

// numberLevel maps the numbers of pino and bunyan (10 to 60), and those of syslog and GELF (0 to 7).
func numberLevel(n int) rhumb.Level {
	switch {
	case n < 0 || n > 7 && n < 10 || n > 69:
		return rhumb.LevelUnknown
	case n <= 2:
		return rhumb.LevelFatal
	case n == 3:
		return rhumb.LevelError
	case n == 4:
		return rhumb.LevelWarn
	case n <= 6:
		return rhumb.LevelInfo
	case n == 7:
		return rhumb.LevelDebug
	}
	return rhumb.LevelTrace + rhumb.Level(n/10-1)
}

// letterLevel maps the letters of glog, klog, Ruby's Logger and MongoDB.
func letterLevel(c byte) rhumb.Level {
	switch c {
	case 'D':
		return rhumb.LevelDebug
	case 'I':
		return rhumb.LevelInfo
	case 'W':
		return rhumb.LevelWarn
	case 'E':
		return rhumb.LevelError
	case 'F':
		return rhumb.LevelFatal
	}
	return rhumb.LevelUnknown
}

const longestLevel = len("informational")

// wordLevel returns the level that a word means, in any case.
func wordLevel(w string) rhumb.Level {
	if len(w) < 3 || len(w) > longestLevel {
		return rhumb.LevelUnknown
	}
	var b [longestLevel]byte
	for i := range len(w) {
		c := w[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b[i] = c
	}
	switch string(b[:len(w)]) {
	case "trace", "trce", "finest", "finer", "silly", "verbose":
		return rhumb.LevelTrace
	case "debug", "dbug", "dbg", "fine", "debug1", "debug2", "debug3", "debug4", "debug5":
		return rhumb.LevelDebug
	case "info", "inf", "information", "informational", "notice", "note", "log", "config", "hint", "detail", "statement",
		"default":
		return rhumb.LevelInfo
	case "warn", "warning", "wrn", "deprecated":
		return rhumb.LevelWarn
	case "error", "err", "fail", "severe", "failure":
		return rhumb.LevelError
	case "fatal", "critical", "crit", "panic", "dpanic", "emerg", "emergency", "alert", "ftl":
		return rhumb.LevelFatal
	}
	return rhumb.LevelUnknown
}

// What is looked at of a text for its level: levels stand near the beginning.
const (
	levelBytes = 160
	levelWords = 7
)

// textLevel returns the level that a text says near its beginning: "ERROR", "[warn]", "level=info", "error: …",
// "E0102 …", or a panic.
func textLevel(text string) rhumb.Level {
	text = text[:min(len(text), levelBytes)]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	if l := prefixLevel(text); l != rhumb.LevelUnknown {
		return l
	}
	words := 0
	for i := 0; i < len(text); {
		if !letter(text[i]) {
			if text[i] == ' ' && i > 0 && text[i-1] != ' ' {
				if words++; words >= levelWords {
					return rhumb.LevelUnknown
				}
			}
			i++
			continue
		}
		start, upper := i, true
		for i < len(text) && (letter(text[i]) || i > start && digit(text[i])) {
			upper = upper && text[i] < 'a'
			i++
		}
		if l := markedLevel(text, start, i, upper); l != rhumb.LevelUnknown {
			return l
		}
	}
	return rhumb.LevelUnknown
}

// markedLevel returns the level of a word if something marks it as one: capitals, brackets, a colon after the first
// word, or a name before it.
func markedLevel(text string, start, end int, upper bool) rhumb.Level {
	l := wordLevel(text[start:end])
	if l == rhumb.LevelUnknown {
		return l
	}
	var before, after byte = ' ', ' '
	if start > 0 {
		before = text[start-1]
	}
	if end < len(text) {
		after = text[end]
	}
	switch {
	case before == '[' && (after == ']' || after == ' '), before == ':' && after == ']',
		before == '<' && after == '>', before == '(' && after == ')', before == '|' && after == '|':
		return l
	case start == 0 && after == ':':
		return l
	case before == '=' || before == '"' || before == ':':
		if name := strings.TrimRight(text[:start], `=": `); namesLevel(name) {
			return l
		}
	}
	if upper && opens(before) && closes(after) {
		return l
	}
	return rhumb.LevelUnknown
}

// opens and closes report whether a byte may stand before and after a level in capitals.
func opens(c byte) bool  { return strings.IndexByte(" \t[(|<*-", c) >= 0 }
func closes(c byte) bool { return strings.IndexByte(" \t])|>*-:,", c) >= 0 }

// namesLevel reports whether a text ends with a name that a level follows.
func namesLevel(s string) bool {
	for _, name := range [...]string{"level", "lvl", "severity"} {
		if len(s) >= len(name) && strings.EqualFold(s[len(s)-len(name):], name) {
			return true
		}
	}
	return false
}

// prefixLevel recognises the forms that are no words.
func prefixLevel(s string) rhumb.Level {
	switch {
	case len(s) >= 5 && digit(s[1]) && digit(s[2]) && digit(s[3]) && digit(s[4]) && (len(s) == 5 || s[5] == ' '):
		return letterLevel(s[0]) // glog, klog: E0102 15:04:05
	case len(s) > 3 && (s[1:4] == ", [" || s[1:4] == " [2"):
		return letterLevel(s[0]) // Ruby's Logger: E, [2026-…
	case len(s) > 2 && s[0] == '<' && digit(s[1]) && s[2] == '>':
		return numberLevel(int(s[1] - '0')) // syslog
	}
	for _, p := range [...]struct {
		prefix string
		level  rhumb.Level
	}{
		{"panic: ", rhumb.LevelFatal}, {"fatal error: ", rhumb.LevelFatal}, {"Traceback (most recent", rhumb.LevelError},
		{"Exception in thread ", rhumb.LevelError}, {"Unhandled exception", rhumb.LevelFatal},
		{"Uncaught ", rhumb.LevelError}, {"PHP Fatal error", rhumb.LevelError}, {"Fatal error: ", rhumb.LevelError},
		{"PHP Warning", rhumb.LevelWarn}, {"PHP Notice", rhumb.LevelInfo}, {"PHP Deprecated", rhumb.LevelWarn},
		{"npm ERR!", rhumb.LevelError}, {"Segmentation fault", rhumb.LevelFatal},
	} {
		if strings.HasPrefix(s, p.prefix) {
			return p.level
		}
	}
	if strings.HasPrefix(s, "thread '") && strings.Contains(s, "panicked at") {
		return rhumb.LevelError
	}
	return rhumb.LevelUnknown
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }
