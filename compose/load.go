// Package compose reads Compose files and gives the stack that they describe. The Compose reference library parses,
// merges and interpolates; this package finds the files, says in which line a mistake is, and has the result turned
// into the nouns of the domain. What becomes of each key of the specification is in one table: internal/keys.
package compose

import (
	"context"
	"io"
	"path/filepath"

	"rhumb"
	"rhumb/compose/internal/convert"
)

// Options says what to load.
type Options struct {
	// Files are the Compose files, merged in this order; "-" is Stdin. Relative ones start at Dir. If there are none,
	// COMPOSE_FILE tells, else compose.yaml and its kin are looked for in Dir and its parents.
	Files []string
	// Dir is where to start; "": the current folder.
	Dir string
	// Env is the environment's name, such as "production"; "": none. Its file is merged over the others, its .env file
	// is read after .env, and the stack is named after it.
	Env string
	// Name is the stack's name; "": COMPOSE_PROJECT_NAME, else what the files say, else the folder's name.
	Name string
	// Profiles are the active profiles; none: those of COMPOSE_PROFILES. "*" is all of them.
	Profiles []string
	// AllowUnset makes a variable that isn't set a warning, and empty.
	AllowUnset bool
	// EnvFiles are read instead of .env and .env.ENV.
	EnvFiles []string
	// Environ is the process's environment, "NAME=value" each.
	Environ []string
	// Stdin is read for the file "-".
	Stdin io.Reader
}

// Project is a loaded stack with what only the client has.
type Project struct {
	Stack    rhumb.Stack
	Dir      string             // the project folder, absolute
	Named    Named              // how the stack is named
	Files    []string           // the Compose files as they were merged, for people; without included ones
	Builds   map[string]Context // by service
	Resolved []byte             // the merged and resolved model, as YAML
	Warnings []rhumb.Note       // about loading itself; what becomes of keys is in Stack.Notes
}

// Load reads the Compose files and gives their stack. Mistakes in them are a *rhumb.Error or, if there are several,
// rhumb.Errors, of code Invalid, each with its place in the files.
func Load(ctx context.Context, o Options) (*Project, error) {
	start, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "folder %s: %w", o.Dir, err)
	}
	in, err := gather(o, start)
	if err != nil {
		return nil, err
	}
	v := inspect(in)
	if err := v.bad.Err(); err != nil {
		return nil, v.withUnset(err)
	}
	m, err := parse(ctx, in, v)
	if err != nil {
		return nil, v.withUnset(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, rhumb.Errorf(rhumb.Cancelled, "loading was stopped: %w", err)
	}
	v.settleUnset(m.inactive)
	in.warnings = append(in.warnings, m.unknownProfiles(in.opts.Profiles)...)
	stack, builds := convert.Stack(convert.Model{Name: in.name, Dir: in.dir, First: in.files[0].name, Env: in.env, Shown: in.shown,
		Project: m.project, Keys: m.used, Lines: v.lines, Bad: v.bad})
	if err := v.bad.Err(); err != nil {
		return nil, err
	}
	text, err := resolved(m.project, in.dir, v.lines.Has)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "the resolved model can't be written: %w", err)
	}
	p := &Project{Stack: stack, Dir: in.dir, Named: in.named(), Builds: builds, Resolved: text, Warnings: in.warnings}
	p.Warnings = append(p.Warnings, v.warnings...)
	for _, f := range in.files {
		p.Files = append(p.Files, f.name)
	}
	return p, nil
}

// Context is what a build needs from the client's disk: its folder, its Dockerfile, and the contents of its secrets.
type Context = convert.Context
