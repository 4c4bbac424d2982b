package docker

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
)

// writers are the containers that write lines.
type writers struct {
	*conn.Conn

	mu   sync.Mutex
	seen map[string]seenWriter // by ID: what the last list had
}

// seenWriter is a writer as it was inspected when the list had it in that state.
type seenWriter struct {
	state  container.ContainerState
	writer rhumb.LogWriter
}

// Writers lists all of rhumb's containers, dead ones and one-offs too. It inspects only those that are new or whose
// state has changed since the last call.
func (ws *writers) Writers(ctx context.Context) ([]rhumb.LogWriter, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	list, err := ws.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label.Of("")})
	if err != nil {
		return nil, ws.Fail(err, "list containers")
	}
	ws.mu.Lock()
	old := ws.seen
	ws.mu.Unlock()
	seen := make(map[string]seenWriter, len(list.Items))
	all := make([]rhumb.LogWriter, 0, len(list.Items))
	for _, c := range list.Items {
		s, ok := old[c.ID]
		if !ok || s.state != c.State {
			in, err := ws.Container(ctx, c.ID)
			if conn.Is(err, rhumb.NotFound) {
				continue // removed since the list was made
			}
			if err != nil {
				return nil, err
			}
			s = seenWriter{c.State, writerOf(in)}
		}
		seen[c.ID] = s
		all = append(all, s.writer)
	}
	ws.mu.Lock()
	ws.seen = seen
	ws.mu.Unlock()
	return all, nil
}

// writerOf returns what the collector must know of a container.
func writerOf(c *container.InspectResponse) rhumb.LogWriter {
	r := observed.Replica(c)
	line := lineFor(c)
	line.Container, line.Release = c.ID, r.Release
	return rhumb.LogWriter{Line: line, Started: r.Started, Finished: r.Finished, File: logFile(c), TTY: c.Config.Tty}
}

// logFile returns the file in which the container's lines are; "" if there is none on this machine. The file itself
// may be missing for a moment while the engine rotates it, so its folder counts.
func logFile(c *container.InspectResponse) string {
	if c.HostConfig.LogConfig.Type != "json-file" || c.LogPath == "" {
		return ""
	}
	if _, err := os.Stat(filepath.Dir(c.LogPath)); err != nil {
		return ""
	}
	return c.LogPath
}
