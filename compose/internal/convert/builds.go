package convert

// Context is what a build needs from the client's disk.
type Context struct {
	Dir        string            // absolute; "": the engine fetches it
	Dockerfile string            // absolute; "": it is inline
	Secrets    map[string][]byte `json:",omitzero"` // contents by ID
}
