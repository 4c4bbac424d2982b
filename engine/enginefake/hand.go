package enginefake

import (
	"rhumb"
)

// hand is what happens to replicas behind rhumb's back.
type hand struct{ *state }

// Disconnect takes a running replica out of a network by hand.
func (h *hand) Disconnect(id, network string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.byID(id); r != nil {
		r.leave(network)
		h.report(r)
	}
}

// Kill ends a running replica, as a crash would. Unknown and dead ones are left as they are.
func (h *hand) Kill(id string, code int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	r := h.byID(id)
	if r == nil {
		return
	}
	if view := r.at(now); view.Alive() {
		r.end(now, code)
		h.report(r)
	}
}

// KillOOM ends a running replica as the kernel does when there is no memory left.
func (h *hand) KillOOM(id string) {
	h.Kill(id, 137)
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.byID(id); r != nil {
		r.base.OOM = true
	}
}

// Drop removes a replica by hand, running or not, behind rhumb's back.
func (h *hand) Drop(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.byID(id); r != nil {
		h.drop(r)
	}
}

// Pause freezes a running replica by hand, or lets it go on.
func (h *hand) Pause(id string, paused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	r := h.byID(id)
	if r == nil {
		return
	}
	switch view := r.at(now); {
	case paused && view.State == rhumb.StateRunning:
		r.base.State = rhumb.StatePaused
	case !paused && view.State == rhumb.StatePaused:
		r.base.State = rhumb.StateRunning
	default:
		return
	}
	h.report(r)
}
