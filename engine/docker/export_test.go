package docker

import "rhumb/engine/docker/internal/images"

// SetMarks makes the images that this engine marks as rhumb's others than those of everybody else on the same machine.
func (e *Engine) SetMarks(prefix string) { e.Images = images.New(e.conn, prefix) }
