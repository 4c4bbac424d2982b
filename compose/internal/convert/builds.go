package convert

// Context is what a build needs from the client's disk.
type Context struct {
	Dir        string            // absolute; "": the engine fetches it
	Dockerfile string            // absolute; "": it is inline
	Inline     string            `json:"-"`         // where the inline one stands: "compose.yaml:12"; "": there is none
	Secrets    map[string][]byte `json:",omitzero"` // contents, by ID
}
