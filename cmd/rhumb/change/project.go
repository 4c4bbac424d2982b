package change

import (
	"context"
	"fmt"
	"slices"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/source"
	"rhumb/cmd/rhumb/view"
	"rhumb/compose"
)

// sameProject guards a stack whose name is only its folder's: another project may be in a folder of the same name. If
// the last release came from elsewhere, it asks the user. With yes it only warns. Without a terminal it returns
// Conflict.
func sameProject(ctx context.Context, a *cli.App, s rhumb.History, n compose.Named, yes bool) error {
	if !n.ByFolder {
		return nil
	}
	origin := source.Origin(ctx, n.Dir)
	other, err := otherOrigin(ctx, s, n.Stack, origin)
	if err != nil || other == "" {
		return err
	}
	why := fmt.Sprintf("it is named after its folder only, and its last release came from %s, not from %s", other, origin)
	what := "stack " + n.Stack + ": " + why
	switch {
	case yes:
		view.Warning(a.Stderr, rhumb.Note{Subject: "stack " + n.Stack, Why: why})
		return nil
	case !a.User().There():
		return rhumb.Errorf(rhumb.Conflict, "%s", what).
			WithHint("another project: write name: into its Compose file, or pass -p; the same project: pass -y")
	case !a.User().Sure(ctx, what+"\nis it the same project?"):
		return rhumb.Errorf(rhumb.Cancelled, "nothing was changed").WithHint("write name: into the Compose file, or pass -p")
	}
	return nil
}

// otherOrigin returns where the release that serves, or else the last one, came from. It returns "" if that is origin
// or unknown.
func otherOrigin(ctx context.Context, s rhumb.History, stack, origin string) (string, error) {
	rs, err := s.Releases(ctx, stack)
	switch {
	case rhumb.ErrorCode(err) == rhumb.NotFound:
		return "", nil
	case err != nil || len(rs) == 0:
		return "", err
	}
	last := rs[max(0, slices.IndexFunc(rs, func(r rhumb.ReleaseInfo) bool { return r.Current }))]
	if last.Origin == origin {
		return "", nil
	}
	return last.Origin, nil
}
