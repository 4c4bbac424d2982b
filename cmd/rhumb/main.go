// Command rhumb is the daemon, its client, and the proxy that owns the ports.
package main

import (
	"context"
	"os"
)

// version is set by the linker.
var version = "dev"

func main() {
	quietLibraries()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
