package wire

import "rhumb"

// CancelRequest asks to roll an open deployment back.
type CancelRequest struct {
	By string `json:",omitzero"` // the client's own claim, as in rhumb.DeployRequest
}

// CommandRequest asks to run a command in a replica with the given streams joined.
type CommandRequest struct {
	Slot         int `json:",omitzero" doc:"exec: which replica; 0: the first that is ready"`
	Options      rhumb.ExecOptions
	In, Out, Err bool `json:",omitzero" doc:"which streams are joined"`
}
