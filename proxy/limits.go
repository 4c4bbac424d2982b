package proxy

import "rhumb/proxy/internal/limits"

// Limits bounds everything that a client, a backend or a successor can make the proxy spend. A field that is zero takes
// its value from DefaultLimits.
type Limits = limits.Limits

// DefaultLimits returns the limits for this process, by the number of descriptors that it may have.
func DefaultLimits() Limits { return limits.Default() }
