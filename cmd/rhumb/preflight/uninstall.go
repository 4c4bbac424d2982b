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

// Uninstall returns NotFound if nothing is installed. Unless force, it returns Conflict while stacks are deployed.
func Uninstall(ctx context.Context, conf server.Config, facts install.Facts, force bool) error {
	if len(facts.Files) == 0 {
		return rhumb.Errorf(rhumb.NotFound, "rhumb is not installed here").
			WithHint("stop a server that you started by hand yourself")
	}
	if force {
		return nil
	}
	names, err := deployed(ctx, conf.Socket)
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "can't find out whether stacks are deployed: %w", err).
			WithHint("start the server, or uninstall with --force")
	}
	if len(names) > 0 {
		return rhumb.Errorf(rhumb.Conflict, "these stacks are deployed: %s", strings.Join(names, ", ")).
			WithHint("take each down first: rhumb down -p %s (its volumes stay); "+
				"or pass --force to leave their containers running without rhumb", names[0])
	}
	return nil
}

// deployed returns the names of a server's stacks.
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
