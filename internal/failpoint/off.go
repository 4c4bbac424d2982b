//go:build !failpoints

package failpoint

// Here names a point at which a process may be made to die. In this build that costs nothing and does nothing.
func Here(...string) {}
