package preflight

import (
	"context"
	"strings"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/server"
	"rhumb/httpapi/client"
	"rhumb/install"
)

// Uninstall refuses where nothing is installed, and, unless it is forced, while stacks are deployed.
func Uninstall(ctx context.Context, conf server.Config, facts install.Facts, force bool) error {
	if len(facts.Files) == 0 {
		return rhumb.Errorf(rhumb.NotFound, "rhumb is not installed here").WithHint("a server that was started by hand is stopped by hand")
	}
	if force {
		return nil
	}
	names, err := deployed(ctx, conf.Socket)
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "whether stacks are deployed can't be told: %w", err).WithHint("start the server, or uninstall with --force")
	}
	if len(names) > 0 {
		return rhumb.Errorf(rhumb.Conflict, "these stacks are deployed: %s", strings.Join(names, ", ")).
			WithHint("take each down first: rhumb down -p %s (its volumes stay); or --force, which leaves their containers running without rhumb", names[0])
	}
	return nil
}

// deployed lists the stacks of a server.
func deployed(ctx context.Context, socket string) ([]string, error) {
	c, err := client.New("unix://" + socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	stacks, err := c.Stacks(ctx)
	var names []string
	for _, s := range stacks {
		names = append(names, s.Name)
	}
	return names, err
}
