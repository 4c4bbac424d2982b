package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"

	"rhumb"
	"rhumb/cmd/rhumb/source"
	"rhumb/cmd/rhumb/view"
	"rhumb/compose"
)

func (a *app) composeOptions() compose.Options {
	return compose.Options{Files: a.o.files, Env: a.o.env, Name: a.o.name, Profiles: a.o.profiles, AllowUnset: a.o.allowUnset,
		EnvFiles: a.o.envFiles, Environ: os.Environ(), Stdin: a.stdin}
}

// load reads the Compose files and says what is worth a warning.
func (a *app) load(ctx context.Context) (*compose.Project, error) {
	p, err := compose.Load(ctx, a.composeOptions())
	if err != nil {
		return nil, err
	}
	for _, n := range p.Warnings {
		view.Warning(a.stderr, n)
	}
	return p, nil
}

// stack finds which stack a command is about: the one that -p names, else the one of the Compose file here, else the
// only one that the server has.
func (a *app) stack(ctx context.Context, s rhumb.Stacks) (string, error) {
	n, err := a.namedStack(ctx, s)
	return n.Stack, err
}

// namedStack is stack with how the stack came to its name.
func (a *app) namedStack(ctx context.Context, s rhumb.Stacks) (compose.Named, error) {
	if a.o.name != "" {
		return compose.Named{Stack: a.o.name}, nil
	}
	n, found, err := compose.Name(a.composeOptions())
	if found {
		return n, named(err)
	}
	stacks, err := s.Stacks(ctx)
	if err != nil {
		return n, err
	}
	switch len(stacks) {
	case 0:
		return n, rhumb.Errorf(rhumb.NotFound, "the server has no stack").WithHint("rhumb deploy makes one")
	case 1:
		return compose.Named{Stack: stacks[0].Name}, nil
	}
	names := make([]string, len(stacks))
	for i, st := range stacks {
		names[i] = st.Name
	}
	return n, rhumb.Errorf(rhumb.Invalid, "there is no Compose file here, and the server has several stacks: %s", strings.Join(names, ", ")).
		WithHint("name one with -p")
}

// sameProject makes sure that a stack which is named after its folder is the project that the user means: there may be
// another folder of that name. Where the last release came from elsewhere it asks, or only warns if yes.
func (a *app) sameProject(ctx context.Context, s rhumb.History, n compose.Named, yes bool) error {
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
		view.Warning(a.stderr, rhumb.Note{Subject: "stack " + n.Stack, Why: why})
		return nil
	case !a.user().There():
		return rhumb.Errorf(rhumb.Conflict, "%s", what).
			WithHint("if it is another project, write name: in its Compose file or give -p; if it is the same one, say -y")
	case !a.user().Sure(ctx, what+"\nis it the same project?"):
		return rhumb.Errorf(rhumb.Cancelled, "nothing was changed").WithHint("write name: in the Compose file, or give -p")
	}
	return nil
}

// otherOrigin returns where the stack's release came from, the one that serves or else the last; "" if it came from
// origin, or if it isn't known.
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

// named adds to a broken Compose file's error that a name would do.
func named(err error) error {
	var e *rhumb.Error
	if errors.As(err, &e) && e.Hint == "" {
		return e.WithHint("name the stack with -p")
	}
	return err
}

// who names the person at the keyboard: "ada@laptop".
func who() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
