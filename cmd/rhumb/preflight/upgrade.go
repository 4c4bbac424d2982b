package preflight

import (
	"context"
	"time"

	"rhumb"
	"rhumb/install"
)

// Upgrade refuses a program that doesn't know the state's form and, unless it is forced, an older one and one for a server that isn't well.
func Upgrade(ctx context.Context, s rhumb.Stacks, old, next install.Program, force bool) error {
	switch {
	case next.Schema < old.Schema:
		return rhumb.Errorf(rhumb.Unsupported, "rhumb %s doesn't know the database of rhumb %s", next.Version, old.Version).
			WithHint("to go back that far: stop the server, put the old program in place, rhumb restore a backup of that time, start it")
	case next.OlderThan(old) && !force:
		return rhumb.Errorf(rhumb.Invalid, "rhumb %s is older than %s", next.Version, old.Version).WithHint("say --force if you mean it")
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	info, err := s.Info(ctx)
	if err == nil && !info.Proxy {
		err = rhumb.Errorf(rhumb.Unavailable, "the proxy does not answer")
	}
	if err != nil && !force {
		return rhumb.Errorf(rhumb.Unavailable, "the server isn't well before the upgrade: %w", err).WithHint("rhumb doctor tells more; --force upgrades all the same")
	}
	return nil
}
