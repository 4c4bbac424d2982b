package collect

import (
	"slices"

	"rhumb"
)

// Left are containers that are removed, and whose log files are kept until all of their lines are collected.
type Left interface {
	Writers() ([]rhumb.LogWriter, error)
	// Drop removes the files of a container. It is no error if there are none.
	Drop(container string) error
}

// noLeft has no containers.
type noLeft struct{}

func (noLeft) Writers() ([]rhumb.LogWriter, error) { return nil, nil }
func (noLeft) Drop(string) error                   { return nil }

// withLeft adds the containers that are removed, unless the engine still lists them.
func (c *Collector) withLeft(ws []rhumb.LogWriter) (all []rhumb.LogWriter, removed map[string]bool, err error) {
	left, err := c.left.Writers()
	if err != nil {
		c.log.Warn("removed containers can't be listed, trying again", "err", err)
	}
	removed = make(map[string]bool, len(left))
	for _, w := range left {
		id := w.Line.Container
		if !slices.ContainsFunc(ws, func(o rhumb.LogWriter) bool { return o.Line.Container == id }) {
			removed[id] = true
			ws = append(ws, w)
		}
	}
	return ws, removed, err
}

// drop removes the files of containers: all of their lines are on the sink's disk.
func (c *Collector) drop(containers []string) {
	for _, id := range containers {
		if err := c.left.Drop(id); err != nil {
			c.log.Warn("log files of removed container not dropped", "container", id, "err", err)
		}
	}
}
