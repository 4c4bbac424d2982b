// Package wire is what both ends of rhumb's HTTP API agree on: the forms of errors, streams and joined commands, and
// the limits.
package wire

import "time"

const (
	// MaxModel is the largest request that carries a stack's model, in bytes.
	MaxModel = 64 << 20
	// MaxContext is the largest build context, in bytes of its tar stream.
	MaxContext = 2 << 30
	// MaxValue is the largest value that the server keeps, in bytes.
	MaxValue = 4 << 20
	// MaxSmall is the largest of all other requests, in bytes.
	MaxSmall = 1 << 20
	// MaxItem is the longest line of a stream, in bytes.
	MaxItem = 16 << 20

	// Beat is how often a quiet stream says that it is alive.
	Beat = 10 * time.Second
	// Silence is how long a reader waits before it takes the other end for dead.
	Silence = 3 * Beat
	// Stall is how long a writer waits for a reader that reads nothing. It is long: people leave a pager open over
	// lunch.
	Stall = time.Hour

	// Protocol is what a joined command's connection is upgraded to.
	Protocol = "rhumb-streams"
	// NDJSON is the content type of streams: one JSON Item a line; empty lines mean nothing.
	NDJSON = "application/x-ndjson"
)

// HeaderFrom is the field of a request that has the address from which its sender's machine is used, if the sender
// knows that.
const HeaderFrom = "Rhumb-From"
