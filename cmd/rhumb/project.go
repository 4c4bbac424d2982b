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

// load reads the Compose files and prints their warnings.
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

// stack returns the name of the stack that a command is about: the value of -p, else the name in the Compose file here,
// else the only stack of the server.
func (a *app) stack(ctx context.Context, s rhumb.Inspector) (string, error) {
	n, err := a.namedStack(ctx, s)
	return n.Stack, err
}

// namedStack is like stack and also returns where the name comes from.
func (a *app) namedStack(ctx context.Context, s rhumb.Inspector) (compose.Named, error) {
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
		return n, rhumb.Errorf(rhumb.NotFound, "the server has no stack").WithHint("deploy one: rhumb deploy")
	case 1:
		return compose.Named{Stack: stacks[0].Name}, nil
	}
	names := make([]string, len(stacks))
	for i, st := range stacks {
		names[i] = st.Name
	}
	return n, rhumb.Errorf(rhumb.Invalid, "no Compose file here, and the server has several stacks: %s",
		strings.Join(names, ", ")).WithHint("choose one with -p")
}

// sameProject guards a stack whose name is only its folder's: another project may be in a folder of the same name. If the
// last release came from elsewhere, it asks the user. With yes it only warns. Without a terminal it returns Conflict.
func (a *app) sameProject(ctx context.Context, s rhumb.Inspector, n compose.Named, yes bool) error {
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
			WithHint("another project: write name: into its Compose file, or pass -p; the same project: pass -y")
	case !a.user().Sure(ctx, what+"\nis it the same project?"):
		return rhumb.Errorf(rhumb.Cancelled, "nothing was changed").WithHint("write name: into the Compose file, or pass -p")
	}
	return nil
}

// otherOrigin returns where the release that serves, or else the last one, came from. It returns "" if that is origin or
// unknown.
func otherOrigin(ctx context.Context, s rhumb.Inspector, stack, origin string) (string, error) {
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

// named adds a hint to the error of a broken Compose file: the command needs only a name.
func named(err error) error {
	var e *rhumb.Error
	if errors.As(err, &e) && e.Hint == "" {
		return e.WithHint("name the stack with -p")
	}
	return err
}

// who returns the user's own name and machine: "ada@laptop".
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
