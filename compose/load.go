// Package compose reads Compose files and returns the stack that they describe. The Compose reference library parses,
// merges and interpolates. This package finds the files, adds the line to every mistake, and converts the result into
// the nouns of the domain. internal/keys has the table of what rhumb does with each key of the specification.
package compose

import (
	"context"
	"io"
	"path/filepath"

	"rhumb"
	"rhumb/compose/internal/convert"
	"rhumb/compose/internal/place"
)

// Options are the options of Load. The zero value loads the Compose file in the current folder or its parents, with
// no environment variables.
type Options struct {
	// Files are the Compose files, merged in this order; "-" is Stdin. Relative paths start at Dir. Without Files,
	// Load uses COMPOSE_FILE, or else looks for compose.yaml and similar names in Dir and its parents.
	Files []string
	// Dir is the folder to start from; "" is the current folder.
	Dir string
	// Env is the name of the environment, such as "production"; "" is none. Its Compose file is merged over the
	// others, its .env file is read after .env, and the stack's name includes it.
	Env string
	// Name is the stack's name. If it is "", the name comes from COMPOSE_PROJECT_NAME, or else from the files, or
	// else from the folder.
	Name string
	// Profiles are the active profiles; none means those of COMPOSE_PROFILES. "*" is all of them.
	Profiles []string
	// AllowUnset makes an unset variable a warning instead of a mistake. Its value is "".
	AllowUnset bool
	// EnvFiles replace .env and .env.ENV.
	EnvFiles []string
	// Environ is the process's environment, each entry "NAME=value".
	Environ []string
	// Stdin is the content of the file "-".
	Stdin io.Reader
}

// Project is a loaded stack, with what only the client has.
type Project struct {
	Stack    rhumb.Stack
	Dir      string             // the project folder, absolute
	Named    Named              // where the stack's name comes from
	Files    []string           // the merged Compose files, as shown to users; without included ones
	Builds   map[string]Context // by service
	Resolved []byte             // the merged and resolved model, as YAML
	Warnings []rhumb.Note       // about loading; notes about keys are in Stack.Notes
}

// Load reads the Compose files and returns their project. Mistakes in the files are Invalid: a *rhumb.Error or, for
// several mistakes, rhumb.Errors, each with its file and line. Load returns Cancelled if ctx ends.
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

// loading is one call of Load. It cuts mistakes out of the files and loads the rest again, so that the first mistake
// hides no others.
type loading struct {
	in    *input
	bad   *place.Problems
	first *inspector // of the complete files
	model *model     // nil until the library has accepted the files
}

// How often files with mistakes are loaded again. These limits bound the work that a file can cause.
const (
	maxRounds = 10
	maxWork   = 20_000 // YAML nodes inspected in all rounds after the first
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

// project lets the library merge and resolve the files, and returns the project. Mistakes go to l.bad. Those that
// stop the library are cut out if possible; after any other mistake the result is nil.
func (l *loading) project(ctx context.Context, v *inspector) *Project {
	in := l.in
	m, err := parse(ctx, in, v)
	if err != nil {
		v.libraryErrors(err)
		return nil
	}
	v.readReferencedFiles(m.project)
	if v != l.first {
		l.first.missing = append(l.first.missing, v.missing...) // variables of env files are known only now
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
		l.bad.Add(in.files[0].name, "writing the resolved model failed: "+err.Error(), "")
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
