package measure

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"rhumb"
	"rhumb/observe/measure/internal/cgroup"
	"rhumb/observe/measure/internal/kernfile"
)

// containers measures what replicas use. It keeps the files of their control groups open.
type containers struct {
	root   string
	roster *roster
	board  *board
	log    *slog.Logger
	open   map[string]*container // by ID
	buf    []byte
	turn   uint64
}

// container is a running replica whose control group is open.
type container struct {
	started  time.Time
	group    *cgroup.Group // nil: it could not be opened
	gone     bool          // the group was there, and is not any more
	tries    int
	pressure [len(cgroup.Resources)][]string // labels
	turn     uint64
}

// maxTries is how often a group is opened that can't be.
const maxTries = 3

func newContainers(root string, r *roster, b *board, log *slog.Logger) *containers {
	return &containers{root: root, roster: r, board: b, log: log, open: map[string]*container{}}
}

// sample measures all replicas.
func (cs *containers) sample(ctx context.Context, at time.Time) {
	l := cs.roster.now()
	if !l.asked {
		return
	}
	cs.turn++
	cs.board.set(number(l.up), "rhumb_engine_up")
	for i := range l.replicas {
		cs.replica(&l.replicas[i])
	}
	for id, c := range cs.open {
		if c.turn != cs.turn {
			c.close()
			delete(cs.open, id)
		}
	}
	cs.board.publish(ctx, at)
}

// close closes all groups.
func (cs *containers) close() {
	for _, c := range cs.open {
		c.close()
	}
	clear(cs.open)
}

func (c *container) close() {
	if c.group != nil {
		c.group.Close()
		c.group = nil
	}
}

// replica measures one replica.
func (cs *containers) replica(p *placed) {
	b := cs.board
	up := p.Alive()
	if up && p.process.PID != 0 {
		up = cs.usage(p)
	}
	b.set(number(up), "rhumb_replica_up", p.labels...)
	if !p.Started.IsZero() {
		b.set(unixSeconds(p.Started), "rhumb_replica_started_seconds", p.labels...)
	}
	if up && p.Health != rhumb.HealthNone {
		b.set(number(p.Health == rhumb.HealthUnhealthy), "rhumb_replica_unhealthy", p.labels...)
	}
	if !up && p.kills > 0 {
		b.set(p.kills, "rhumb_replica_oom_kills_total", p.labels...)
	}
}

// usage measures what a replica's control group has used. It reports false if the group is gone: then the replica has
// ended, and the engine hasn't said so yet.
func (cs *containers) usage(p *placed) bool {
	c := cs.container(p)
	if c.group == nil {
		return !c.gone
	}
	u, err := c.group.Read()
	if err != nil {
		c.close()
		c.gone = true
		return false
	}
	b := cs.board
	b.set(u.CPU, "rhumb_replica_cpu_seconds_total", p.labels...)
	b.set(u.Throttled, "rhumb_replica_cpu_throttled_seconds_total", p.labels...)
	b.set(u.CPULimit, "rhumb_replica_cpu_limit", p.labels...)
	b.set(u.Memory, "rhumb_replica_memory_bytes", p.labels...)
	b.set(u.MemoryLimit, "rhumb_replica_memory_limit_bytes", p.labels...)
	b.set(u.OOMKills+p.kills, "rhumb_replica_oom_kills_total", p.labels...)
	b.set(u.Read, "rhumb_replica_disk_read_bytes_total", p.labels...)
	b.set(u.Written, "rhumb_replica_disk_written_bytes_total", p.labels...)
	b.set(u.Processes, "rhumb_replica_processes", p.labels...)
	for i, stalled := range u.Pressure {
		b.set(stalled, "rhumb_replica_pressure_seconds_total", c.pressure[i]...)
	}
	if p.process.Network {
		cs.network(p)
	}
	return true
}

// container returns a running replica's container. It opens the control group of a new one.
func (cs *containers) container(p *placed) *container {
	c := cs.open[p.ID]
	if c != nil && !c.started.Equal(p.Started) { // it was started again by hand
		c.close()
		c = nil
	}
	if c == nil {
		c = &container{started: p.Started}
		for i, resource := range cgroup.Resources {
			c.pressure[i] = append(slices.Clone(p.labels), "resource", resource)
		}
		cs.open[p.ID] = c
	}
	c.turn = cs.turn
	if c.group == nil && !c.gone && c.tries < maxTries {
		c.tries++
		var err error
		if c.group, err = cgroup.Open(cs.root, p.process.PID, p.ID); err != nil && c.tries == maxTries {
			cs.log.Warn("replica not measured: its control group can't be read", "replica", nameOf(&p.Replica), "err", err)
		}
	}
	return c
}

// network adds the bytes on a replica's own interfaces. The file isn't kept open: that would keep the network namespace
// after its end.
func (cs *containers) network(p *placed) {
	text, err := kernfile.ReadFile(filepath.Join(cs.root, "proc", strconv.Itoa(p.process.PID), "net/dev"), cs.buf)
	cs.buf = text[:0]
	if err != nil {
		return
	}
	received, sent := 0.0, 0.0
	for i := range interfaces(text) {
		if string(i.name) != "lo" {
			received += i.received
			sent += i.sent
		}
	}
	cs.board.set(received, "rhumb_replica_network_received_bytes_total", p.labels...)
	cs.board.set(sent, "rhumb_replica_network_sent_bytes_total", p.labels...)
}
