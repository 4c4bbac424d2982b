package main

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strings"

	"rhumb"
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
func (a *app) stack(ctx context.Context, s rhumb.Inspector) (string, error) {
	if a.o.name != "" {
		return a.o.name, nil
	}
	name, found, err := compose.Name(a.composeOptions())
	if found {
		return name, named(err)
	}
	stacks, err := s.Stacks(ctx)
	if err != nil {
		return "", err
	}
	switch len(stacks) {
	case 0:
		return "", rhumb.Errorf(rhumb.NotFound, "the server has no stack").WithHint("rhumb deploy makes one")
	case 1:
		return stacks[0].Name, nil
	}
	names := make([]string, len(stacks))
	for i, st := range stacks {
		names[i] = st.Name
	}
	return "", rhumb.Errorf(rhumb.Invalid, "there is no Compose file here, and the server has several stacks: %s", strings.Join(names, ", ")).
		WithHint("name one with -p")
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
