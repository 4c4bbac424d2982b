// Package label defines the labels that mark rhumb's objects in Docker.
package label

import (
	"github.com/moby/moby/client"
)

// These labels mark a container, a network or a volume as rhumb's. They override a user's labels of the same name.
const (
	Stack      = "dev.rhumb.stack"
	Service    = "dev.rhumb.service"
	Release    = "dev.rhumb.release"
	Slot       = "dev.rhumb.slot"
	Spec       = "dev.rhumb.spec"
	Restarts   = "dev.rhumb.restarts"
	Joined     = "dev.rhumb.joined"     // the replica whose network namespace it shares
	Beside     = "dev.rhumb.beside"     // the networks that it is in beside its own, with commas
	Hosts      = "dev.rhumb.hosts"      // the further names that its hosts file had at its start
	PostStart  = "dev.rhumb.poststart"  // commands are to run in it before it counts as ready
	OneOff     = "dev.rhumb.oneoff"     // of a one-off: its word
	Definition = "dev.rhumb.definition" // of a network: the hash of what it was made from
)

// Of filters by a stack's label; "" is any stack's.
func Of(stack string) client.Filters {
	label := Stack
	if stack != "" {
		label += "=" + stack
	}
	return client.Filters{}.Add("label", label)
}
