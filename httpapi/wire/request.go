package wire

import "rhumb"

// CancelRequest asks for an open deployment to be put back.
type CancelRequest struct {
	By string `json:",omitzero"` // who asks
}

// CommandRequest asks for a command to be run in a replica, with the streams that are named joined.
type CommandRequest struct {
	Slot         int `json:",omitzero" doc:"exec: which replica; 0: the first that is ready"`
	Options      rhumb.ExecOptions
	In, Out, Err bool `json:",omitzero" doc:"which streams are joined"`
}
