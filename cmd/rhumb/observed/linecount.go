package observed

import (
	"context"
	"sync"
	"time"

	"rhumb"
	"rhumb/observe"
)

// lineCount counts the lines that are kept, by stack, service and level.
type lineCount struct {
	mu  sync.Mutex
	all map[lineKey]*lineSeries
}

type lineKey struct {
	stack, service string
	level          rhumb.Level
}

type lineSeries struct {
	series *observe.Series
	lines  float64
}

// maxCounted is how many series there may be. Lines of further ones aren't counted.
const maxCounted = 5000

func newLineCount() *lineCount { return &lineCount{all: map[lineKey]*lineSeries{}} }

// add counts lines of stacks. Rhumb's own have no stack.
func (c *lineCount) add(lines []rhumb.LogLine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range lines {
		l := &lines[i]
		if l.Kind != rhumb.LineOutput {
			continue
		}
		k := lineKey{l.Stack, l.Service, l.Level}
		s := c.all[k]
		if s == nil {
			if len(c.all) >= maxCounted || l.Stack == "" || l.Service == "" {
				continue
			}
			s = &lineSeries{series: k.series()}
			c.all[k] = s
		}
		s.lines++
	}
}

func (k lineKey) series() *observe.Series {
	level := k.level.String()
	if level == "" {
		level = "unknown"
	}
	return &observe.Series{Name: "rhumb_log_lines_total", Labels: []observe.Label{
		{Name: "level", Value: level}, {Name: "service", Value: k.service}, {Name: "stack", Value: k.stack},
	}}
}

// samples returns the counts.
func (c *lineCount) samples() []observe.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]observe.Sample, 0, len(c.all))
	for _, s := range c.all {
		all = append(all, observe.Sample{Series: s.series, Value: s.lines})
	}
	return all
}

// measure adds the counts to a sink until ctx ends. What the sink can't keep, it counts.
func (c *lineCount) measure(ctx context.Context, to observe.SampleSink) error {
	t := time.NewTicker(rhumb.MeasureEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-t.C:
			if s := c.samples(); len(s) > 0 {
				_ = to.Add(ctx, at, s)
			}
		}
	}
}
