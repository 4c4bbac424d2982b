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
	"rhumb/compose/internal/place"
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
	l := loading{in: in, bad: place.NewProblems(place.NewLines())}
	return l.run(ctx)
}

// loading is one Load. What is wrong is cut out of the files and what is left is loaded again, so that the first
// mistake hides none of the others.
type loading struct {
	in    *input
	bad   *place.Problems
	first *inspector // of the whole files
	model *model     // nil: the library hasn't made one
}

// How often files with mistakes are loaded again: bounds for what a file can make us spend.
const (
	maxRounds = 10
	maxWork   = 20_000 // YAML nodes looked at in all rounds after the first
)

func (l *loading) run(ctx context.Context) (*Project, error) {
	var p *Project
	var unplaced *rhumb.Error
	work := 0
	for range maxRounds {
		v := inspect(l.in, l.bad)
		if l.first == nil {
			l.first = v
		} else {
			work += v.looked
		}
		if len(v.cut) == 0 && !v.stuck {
			p = l.project(ctx, v)
			unplaced = v.unplaced
		}
		if err := ctx.Err(); err != nil {
			return nil, rhumb.Errorf(rhumb.Cancelled, "loading was stopped: %w", err)
		}
		if len(v.cut) == 0 || v.stuck || work > maxWork || l.bad.Full() || !l.in.prune(v.cut) {
			break
		}
	}
	if l.model == nil {
		l.first.unsetOfAll()
	}
	if l.bad.Count() == 0 {
		l.bad.AddError(unplaced)
	}
	if err := l.bad.Err(); err != nil {
		return nil, err
	}
	p.Warnings = append(l.in.warnings, l.first.warnings...)
	return p, nil
}

// project has the library merge and resolve the files, and makes the stack. Mistakes go to l.bad; those that stop the
// library are cut out if possible, and others make the project useless.
func (l *loading) project(ctx context.Context, v *inspector) *Project {
	in := l.in
	m, err := parse(ctx, in, v)
	if err != nil {
		v.libraryErrors(err)
		return nil
	}
	v.readReferencedFiles(m.project)
	if v != l.first {
		l.first.missing = append(l.first.missing, v.missing...) // what env files lack isn't known before
	}
	l.model = m
	l.first.settleUnset(m.inactive)
	in.warnings = append(in.warnings, m.unknownProfiles(in.opts.Profiles)...)
	stack, builds := convert.Stack(convert.Model{Name: in.name, Dir: in.dir, First: in.files[0].name, Env: in.env,
		Shown:   in.shown,
		Project: m.project, Keys: m.used, Lines: v.lines, Bad: l.bad})
	if l.bad.Count() > 0 {
		return nil
	}
	text, err := resolved(m.project, in.dir, v.lines.Has)
	if err != nil {
		l.bad.Add(in.files[0].name, "the resolved model can't be written: "+err.Error(), "")
		return nil
	}
	p := &Project{Stack: stack, Dir: in.dir, Named: in.named(), Builds: builds, Resolved: text}
	for _, f := range in.files {
		p.Files = append(p.Files, f.name)
	}
	return p
}

// Context is what a build needs from the client's disk: its folder, its Dockerfile, and the contents of its secrets.
type Context = convert.Context
