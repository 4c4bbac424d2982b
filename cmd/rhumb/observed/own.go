package observed

import (
	"context"
	"os"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/state"
	"rhumb/observe/collect"
)

// withOwn is an engine that also lists the files in which rhumb's own processes write lines, as if they were
// containers. The log of the process that keeps logs isn't one of them: each line that it logs would be a line more to
// collect.
type withOwn struct {
	collect.Engine
	folder state.Lines
}

// Writers returns the engine's containers and rhumb's own files. The files are also there while the engine is away.
func (e withOwn) Writers(ctx context.Context) ([]rhumb.LogWriter, error) {
	ws, err := e.Engine.Writers(ctx)
	if _, missing := os.Stat(string(e.folder)); missing != nil {
		return ws, err
	}
	own := func(kind rhumb.LineKind, process, file string) rhumb.LogWriter {
		line := rhumb.LogLine{Kind: kind, Service: "rhumb", Replica: process, Container: "rhumb:" + string(kind)}
		return rhumb.LogWriter{Line: line, Started: time.Unix(1, 0), File: file}
	}
	return append(ws,
		own(rhumb.LineDaemon, "daemon", e.folder.Daemon()), own(rhumb.LineEvent, "daemon", e.folder.Events()),
		own(rhumb.LineHook, "daemon", e.folder.Hooks()),
		own(rhumb.LineProxy, "proxy", e.folder.Proxy()), own(rhumb.LineAccess, "proxy", e.folder.Access())), err
}
