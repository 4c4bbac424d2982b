package wire

// Root is the answer with the internal authority's certificate.
type Root struct {
	PEM string
}
