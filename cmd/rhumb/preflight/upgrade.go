package preflight

import (
	"context"
	"time"

	"rhumb"
	"rhumb/install"
)

// Upgrade returns Unsupported if the new program doesn't know the state's database. Unless force, it returns Invalid
// for an older program, and Unavailable if the server isn't well.
func Upgrade(ctx context.Context, s rhumb.Stacks, old, next install.Program, force bool) error {
	switch {
	case next.Schema < old.Schema:
		return rhumb.Errorf(rhumb.Unsupported, "rhumb %s doesn't know the database of rhumb %s", next.Version, old.Version).
			WithHint("to go back: stop the server, put the old program in place, rhumb restore a backup of that time, start it")
	case next.OlderThan(old) && !force:
		return rhumb.Errorf(rhumb.Invalid, "rhumb %s is older than %s", next.Version, old.Version).
			WithHint("pass --force to install it anyway")
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	info, err := s.Info(ctx)
	if err == nil && !info.Proxy {
		err = rhumb.Errorf(rhumb.Unavailable, "the proxy does not answer")
	}
	if err != nil && !force {
		return rhumb.Errorf(rhumb.Unavailable, "the server isn't well before the upgrade: %w", err).
			WithHint("run rhumb doctor, or pass --force to upgrade anyway")
	}
	return nil
}
