package compose

import (
	"context"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

// model is the Compose library's result for the files.
type model struct {
	project *types.Project
	used    []keys.Use
}

// inactive reports whether a path belongs to a service that the active profiles leave out.
func (m *model) inactive(path string) bool {
	for name := range m.project.DisabledServices {
		if strings.HasPrefix(path, "services."+name+".") {
			return true
		}
	}
	return false
}

// unknownProfiles warns of requested profiles that no service has.
func (m *model) unknownProfiles(asked []string) []rhumb.Note {
	var notes []rhumb.Note
	for _, p := range asked {
		known := p == "*"
		for _, s := range m.project.AllServices() {
			known = known || slices.Contains(s.Profiles, p)
		}
		if !known {
			notes = append(notes, rhumb.Note{Subject: "profile " + p, Fate: rhumb.Ignored, Why: "no service has it"})
		}
	}
	return notes
}

// parse lets the library merge and resolve the files.
func parse(ctx context.Context, in *input, v *inspector) (*model, error) {
	return load(ctx, in, v.lines)
}

func load(ctx context.Context, in *input, l *place.Lines) (m *model, err error) {
	defer recovered(&err)
	details := types.ConfigDetails{WorkingDir: in.dir, Environment: types.Mapping(in.env).Clone()}
	for _, f := range in.files {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: f.path, Content: f.content})
	}
	options := func(o *loader.Options) {
		o.SetProjectName(in.name, true)
		o.Profiles = in.profiles
		o.SkipConsistencyCheck = true // our own check finds all mistakes, with their lines
		o.SkipResolveEnvironment = true
		o.SkipResolveLabels = true
		o.Interpolate.Substitute = func(s string, m template.Mapping) (string, error) {
			s, _, err := interpolated(s, m) // a missing variable is known already
			return s, err
		}
	}
	dict, err := loader.LoadModelWithContext(ctx, details, options)
	if err != nil {
		return nil, err
	}
	used := keys.Used(dict, l)
	project, err := loader.ModelToProject(dict, loader.ToOptions(&details, []func(*loader.Options){options}), details)
	if err != nil {
		return nil, err
	}
	return &model{project, used}, nil
}

// unsetOfAll reports the missing variables of all services: which of them are active is unknown.
func (v *inspector) unsetOfAll() {
	if !v.in.opts.AllowUnset || slices.ContainsFunc(v.missing, func(m missing) bool { return m.required }) {
		v.settleUnset(func(string) bool { return false })
	}
}

// settleUnset reports the missing variables of active services, as mistakes or warnings.
func (v *inspector) settleUnset(inactive func(path string) bool) {
	// Variables of extended services come last: they matter only if the extended service itself is inactive.
	slices.SortStableFunc(v.missing, func(a, b missing) int {
		switch {
		case a.again == b.again:
			return 0
		case a.again:
			return 1
		}
		return -1
	})
	reported := map[string]bool{}
	for _, m := range v.missing {
		// A value below another top-level x- matters only where an alias uses it, and is recorded there too.
		foreign := strings.HasPrefix(m.path, "x-") && !strings.HasPrefix(m.path, keys.Extension+".")
		if !m.required && !m.envFile && (foreign || inactive(m.path)) || reported[m.at+m.name] {
			continue
		}
		reported[m.at+m.name] = true
		dollar := ""
		if m.envFile {
			dollar = "put the value in single quotes if it has a literal $, "
		}
		switch {
		case m.required && m.reason != "":
			v.bad.Add(m.at, place.Subject(m.path)+": variable "+m.name+" is not set: "+m.reason, place.SetHint(m.name))
		case m.required:
			v.bad.Add(m.at, place.Subject(m.path)+": variable "+m.name+" is not set", place.SetHint(m.name))
		case v.in.opts.AllowUnset:
			v.warnings = append(v.warnings, rhumb.Note{At: m.at, Subject: "variable " + m.name, Fate: rhumb.Ignored,
				Why: "it is not set; it is empty in " + place.Subject(m.path)})
		default:
			v.bad.Add(m.at, place.Subject(m.path)+": variable "+m.name+" is not set and has no default",
				dollar+place.SetHint(m.name)+", write ${"+m.name+":-default}, or allow it with --allow-unset")
		}
	}
}
