package cli

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/cmd/rhumb/view"
	"rhumb/compose"
)

func (a *App) composeOptions() compose.Options {
	return compose.Options{Files: a.files, Env: a.env, Name: a.Name, Profiles: a.profiles, AllowUnset: a.allowUnset,
		EnvFiles: a.envFiles, Environ: os.Environ(), Stdin: a.Stdin}
}

// Load reads the Compose files and prints their warnings.
func (a *App) Load(ctx context.Context) (*compose.Project, error) {
	p, err := compose.Load(ctx, a.composeOptions())
	if err != nil {
		return nil, err
	}
	for _, n := range p.Warnings {
		view.Warning(a.Stderr, n)
	}
	return p, nil
}

// Stack returns the name of the stack that a command is about: the value of -p, else the name in the Compose file here,
// else the only stack of the server.
func (a *App) Stack(ctx context.Context, s rhumb.Stacks) (string, error) {
	n, err := a.NamedStack(ctx, s)
	return n.Stack, err
}

// NamedStack is like Stack and also returns where the name comes from.
func (a *App) NamedStack(ctx context.Context, s rhumb.Stacks) (compose.Named, error) {
	if a.Name != "" {
		return compose.Named{Stack: a.Name}, nil
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

// named adds a hint to the error of a broken Compose file: the command needs only a name.
func named(err error) error {
	var e *rhumb.Error
	if errors.As(err, &e) && e.Hint == "" {
		return e.WithHint("name the stack with -p")
	}
	return err
}

// ReleaseNumber parses "42" or "shop@42".
func ReleaseNumber(s string) (int, error) {
	n, err := strconv.Atoi(s[strings.LastIndex(s, "@")+1:])
	if err != nil || n < 1 {
		return 0, rhumb.Errorf(rhumb.Invalid, "%q is not a release number", s).WithHint("rhumb releases lists the numbers")
	}
	return n, nil
}
