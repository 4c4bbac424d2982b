package parse

import (
	"strings"

	"rhumb"
)

// state is what kind of trace the lines so far make.
type state uint8

const (
	statePlain       state = iota // a line that may have a trace behind it
	stateFrames                   // Java, .NET, Node: frames that begin with "at"
	stateObject                   // Node: properties of the error, in braces after the last frame
	stateSource                   // Node: the place of an uncaught error; its source line follows
	stateCaret                    // Node: the caret below the source line follows
	stateUncaught                 // Node: the error follows
	statePython                   // frames, and then the exception
	statePythonEnd                // after the exception
	statePythonBlank              // after the blank line behind it
	statePythonChain              // after "During handling of the above exception, …"
	stateGo
	stateRuby
	statePHP
	stateRustMessage // the message of a panic follows
	stateRust
	stateConsole // .NET's console logger: the message is indented by six spaces
)

// header returns the state after a first line.
func header(text string) state {
	if text == "" {
		return statePlain
	}
	switch {
	case strings.HasSuffix(text, "Traceback (most recent call last):"):
		return statePython
	case strings.HasPrefix(text, "panic: "), strings.HasPrefix(text, "fatal error: "), goroutine(text):
		return stateGo
	case strings.HasPrefix(text, "thread '") && strings.Contains(text, "panicked at "):
		if strings.HasSuffix(text, ":") {
			return stateRustMessage
		}
		return stateRust
	case consoleHeader(text):
		return stateConsole
	case sourcePlace(text):
		return stateSource
	}
	return statePlain
}

// next returns the state after a further line; false if the line doesn't belong to the trace.
func (st state) next(s *trace, text string) (state, bool) {
	trimmed := strings.TrimLeft(text, " \t")
	indented := len(trimmed) < len(text)
	switch st {
	case statePlain:
		return afterPlain(s, text, trimmed, indented)
	case stateFrames, stateObject:
		return afterFrames(st, text, trimmed, indented)
	case stateSource:
		return stateCaret, true
	case stateCaret:
		return stateUncaught, trimmed != "" && strings.Trim(trimmed, "^ ") == ""
	case stateUncaught:
		if indented && frame(trimmed) {
			return afterFrames(stateFrames, text, trimmed, true)
		}
		return stateUncaught, text == "" || indented || strings.Contains(text, "Error") ||
			strings.HasPrefix(text, "Node.js v")
	case statePython, statePythonEnd, statePythonBlank, statePythonChain:
		return afterPython(st, text, indented)
	case stateGo:
		return stateGo, goLine(text)
	case stateRuby:
		return stateRuby, rubyFrame(trimmed) || indented && strings.HasPrefix(trimmed, "...")
	case statePHP:
		return statePHP, phpLine(text, trimmed)
	case stateRustMessage:
		return stateRust, true
	case stateRust:
		return stateRust, strings.HasPrefix(text, "note: ") || strings.HasPrefix(text, "stack backtrace:") ||
			indented && trimmed != "" && (digit(trimmed[0]) || frame(trimmed))
	case stateConsole:
		return stateConsole, strings.HasPrefix(text, "      ")
	}
	return statePlain, false
}

// afterPlain is next after a line that is no trace yet.
func afterPlain(s *trace, text, trimmed string, indented bool) (state, bool) {
	if indented {
		switch {
		case frame(trimmed), caused(trimmed):
			return afterFrames(stateFrames, text, trimmed, true)
		case strings.HasPrefix(trimmed, "from ") && rubyFrame(trimmed):
			return stateRuby, true
		}
		return statePlain, false
	}
	switch {
	case strings.HasPrefix(text, "Caused by: "):
		return stateFrames, true
	case strings.HasPrefix(text, "Stack trace:"), text == "[stacktrace]", strings.HasPrefix(text, "#0 "),
		strings.HasPrefix(text, "PHP Stack trace:"):
		return statePHP, true
	case goroutine(text):
		return stateGo, true
	case strings.HasPrefix(text, "stack backtrace:"):
		return stateRust, true
	case strings.HasPrefix(text, "Traceback (most recent call last):"):
		return statePython, s.serious(rhumb.LevelError)
	case rubyFrame(text):
		return stateRuby, s.serious(rhumb.LevelError)
	case throwable(text): // the exception that a log line is about
		return statePlain, s.lines == 1 && s.serious(rhumb.LevelWarn)
	}
	return statePlain, false
}

// afterFrames is next in a trace of Java, .NET or Node.
func afterFrames(st state, text, trimmed string, indented bool) (state, bool) {
	if st == stateObject {
		if text == "}" {
			return stateFrames, true
		}
		return stateObject, indented || text == ""
	}
	ok := indented && (frame(trimmed) || strings.HasPrefix(trimmed, "- ")) || caused(trimmed) || text == "" ||
		strings.HasPrefix(text, "Node.js v")
	if ok && strings.HasSuffix(text, " {") {
		return stateObject, true
	}
	return stateFrames, ok
}

// afterPython is next in a trace of Python.
func afterPython(st state, text string, indented bool) (state, bool) {
	switch st {
	case statePython:
		if indented || text == "" {
			return statePython, true
		}
		return statePythonEnd, pythonException(text)
	case statePythonEnd:
		return statePythonBlank, text == ""
	case statePythonBlank:
		return statePythonChain, strings.HasPrefix(text, "During handling of the above exception") ||
			strings.HasPrefix(text, "The above exception was the direct cause")
	}
	if text == "" {
		return statePythonChain, true
	}
	return statePython, strings.HasPrefix(text, "Traceback (most recent call last):")
}

// frame reports whether an indented line is a frame: "at …", or says how many more there are.
func frame(s string) bool {
	return strings.HasPrefix(s, "at ") || strings.HasPrefix(s, "... ") && len(s) > 4 && digit(s[4])
}

// caused reports whether a line names the cause of an exception, or ends a part of a trace.
func caused(s string) bool {
	return strings.HasPrefix(s, "Caused by: ") || strings.HasPrefix(s, "Suppressed: ") || strings.HasPrefix(s, "---> ") ||
		strings.HasPrefix(s, "--- End of ")
}

// throwable reports whether a line begins with the full name of a class of exceptions: "java.io.IOException: …".
func throwable(s string) bool {
	n, dots := 0, 0
	for n < len(s) && (letter(s[n]) || digit(s[n]) || s[n] == '.' || s[n] == '$' || s[n] == '_') {
		if s[n] == '.' {
			dots++
		}
		n++
	}
	if dots == 0 || n < len(s) && s[n] != ':' {
		return false
	}
	name := s[:n]
	return strings.HasSuffix(name, "Exception") || strings.HasSuffix(name, "Error") || strings.HasSuffix(name, "Throwable")
}

// pythonException reports whether a line begins with the name of an exception, as the last line of a trace does.
func pythonException(s string) bool {
	n := 0
	for n < len(s) && (letter(s[n]) || digit(s[n]) || s[n] == '.' || s[n] == '_' || s[n] == '<' || s[n] == '>') {
		n++
	}
	return n > 0 && (n == len(s) || s[n] == ':')
}

func goroutine(s string) bool {
	return strings.HasPrefix(s, "goroutine ") && len(s) > 10 && digit(s[10]) && strings.Contains(s, " [")
}

// goLine reports whether a line belongs to a panic of Go: goroutines, their calls and places, and the registers.
func goLine(s string) bool {
	switch {
	case s == "", s[0] == '\t', goroutine(s), strings.HasPrefix(s, "created by "), strings.HasPrefix(s, "[signal "),
		strings.HasPrefix(s, "panic: "), strings.HasPrefix(s, "fatal error: "), strings.HasPrefix(s, "runtime: "),
		strings.HasPrefix(s, "exit status "), strings.HasPrefix(s, "...additional frames elided..."),
		strings.HasPrefix(s, "[originating from goroutine "), strings.HasPrefix(s, "SIG"), strings.HasPrefix(s, "PC="),
		strings.HasPrefix(s, "panic("):
		return true
	case strings.HasSuffix(s, ")") || strings.HasSuffix(s, ", ...)"):
		open := strings.IndexByte(s, '(')
		return open > 0 && strings.IndexByte(s[:open], ' ') < 0 && strings.IndexByte(s, '.') > 0
	}
	name, value, ok := strings.Cut(s, " ")
	return ok && len(name) <= 6 && strings.HasPrefix(strings.TrimLeft(value, " "), "0x")
}

// rubyFrame reports whether a line is a frame of Ruby: "from /app/a.rb:3:in `run'".
func rubyFrame(s string) bool {
	s = strings.TrimPrefix(s, "from ")
	i := strings.Index(s, ":in ")
	return i > 0 && strings.IndexByte(s[:i], ' ') < 0 && digit(s[i-1]) && len(s) > i+4 && (s[i+4] == '`' || s[i+4] == '\'')
}

func phpLine(s, trimmed string) bool {
	return len(s) > 1 && s[0] == '#' && digit(s[1]) || strings.HasPrefix(trimmed, "thrown in ") || s == `"}` ||
		strings.HasPrefix(s, "Next ") || strings.HasPrefix(s, "Stack trace:") ||
		strings.HasPrefix(s, "PHP ") && len(strings.TrimLeft(s[4:], " ")) > 0 && phpFrame(strings.TrimLeft(s[4:], " "))
}

// phpFrame reports whether the rest of a line after "PHP " is a part of a trace: "1. {main}() …", "#1 {main}".
func phpFrame(s string) bool {
	return digit(s[0]) && strings.Contains(s, ". ") || s[0] == '#' || strings.HasPrefix(s, "thrown in ")
}

// consoleHeader reports whether a line begins an entry of .NET's console logger: "fail: Shop.Cart[17]".
func consoleHeader(s string) bool {
	if len(s) < 8 || s[4] != ':' || s[5] != ' ' || s[len(s)-1] != ']' {
		return false
	}
	switch s[:4] {
	case "trce", "dbug", "info", "warn", "fail", "crit":
		return strings.IndexByte(s, '[') > 0 && strings.IndexByte(s[6:], ' ') < 0
	}
	return false
}

// sourcePlace reports whether a line is a file and a line number, as Node writes before an uncaught error.
func sourcePlace(s string) bool {
	if s[0] != '/' && !strings.HasPrefix(s, "file:///") && !strings.HasPrefix(s, "node:") {
		return false
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i == len(s)-1 || strings.IndexByte(s, ' ') >= 0 {
		return false
	}
	for j := i + 1; j < len(s); j++ {
		if !digit(s[j]) {
			return false
		}
	}
	return true
}
