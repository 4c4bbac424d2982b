package logstore

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
)

// DefaultMemory is how many bytes the library may use for what it keeps in memory, in all stacks together.
const DefaultMemory = 32 << 20

var prepare sync.Once

// Prepare sets the library up for the whole process. It must be called before Open, and only its first call has an
// effect: the library takes its settings from the process's flags, and writes to one log. memory is in bytes.
// A program that has flags of its own in flag.CommandLine must parse them first.
func Prepare(memory int64, log *slog.Logger) {
	prepare.Do(func() {
		for name, value := range map[string]string{
			"memory.allowedBytes":       strconv.FormatInt(memory, 10),
			"loggerLevel":               "WARN",
			"loggerDisableTimestamps":   "true",
			"loggerMaxArgLen":           "500",
			"loggerWarnsPerSecondLimit": "5",
		} {
			if err := flag.Set(name, value); err != nil {
				panic("logstore: " + err.Error()) // the library has no such flag any more
			}
		}
		if !flag.Parsed() {
			_ = flag.CommandLine.Parse(nil) // no arguments, no error
		}
		logger.SetOutputForTests(logWriter{log}) // there is no other way to redirect the log
	})
}

// logWriter writes the library's log lines to a logger.
type logWriter struct{ log *slog.Logger }

// Write takes one line: its level, the place in the library's source, and a message, with tabs between.
func (w logWriter) Write(line []byte) (int, error) {
	level, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte("\t"))
	at, msg, _ := bytes.Cut(rest, []byte("\t"))
	l := slog.LevelError
	switch strings.ToUpper(string(level)) {
	case "INFO":
		l = slog.LevelInfo
	case "WARN":
		l = slog.LevelWarn
	}
	w.log.Log(context.Background(), l, "log storage", "msg", string(msg), "at", string(at))
	return len(line), nil
}
