package measure

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"rhumb/observe/measure/internal/kernfile"
)

// processes measures rhumb's own processes.
type processes struct {
	root  string
	board *board
	look  func() []process
}

// process is one of rhumb's own processes.
type process struct {
	name       string
	asked      bool // whether it answers
	up         bool // it answers
	pid        int  // 0: unknown
	goroutines int  // 0: unknown
}

func (ps *processes) sample(ctx context.Context, at time.Time) {
	boot := math.NaN()
	if text, err := kernfile.ReadFile(filepath.Join(ps.root, "proc/stat"), nil); err == nil {
		boot = kernfile.Value(text, "btime")
	}
	for _, p := range ps.look() {
		if p.asked {
			ps.board.set(number(p.up), "rhumb_process_up", "process", p.name)
		}
		if p.pid > 0 {
			ps.usage(&p, boot)
		}
		if p.up && p.goroutines > 0 {
			ps.board.set(float64(p.goroutines), "rhumb_process_goroutines", "process", p.name)
		}
	}
	ps.board.publish(ctx, at)
}

// The numbers of fields in a process's stat file, counted from the one after its name.
const (
	statUser   = 11
	statSystem = 12
	statStart  = 19
	statPages  = 21
)

// usage reads what a process uses. Its name is in brackets and may contain anything.
func (ps *processes) usage(p *process, boot float64) {
	text, err := kernfile.ReadFile(filepath.Join(ps.root, "proc", strconv.Itoa(p.pid), "stat"), nil)
	if err != nil {
		return // it has ended
	}
	text = text[bytes.LastIndexByte(text, ')')+1:]
	set := func(name string, v float64) { ps.board.set(v, name, "process", p.name) }
	set("rhumb_process_cpu_seconds_total", (field(text, statUser)+field(text, statSystem))/ticksPerSecond)
	set("rhumb_process_memory_bytes", field(text, statPages)*float64(os.Getpagesize()))
	set("rhumb_process_started_seconds", boot+field(text, statStart)/ticksPerSecond)
}
