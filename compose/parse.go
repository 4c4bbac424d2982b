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

// model is what the Compose library makes of the files.
type model struct {
	project *types.Project
	used    []keys.Use
}

// inactive tells whether the path belongs to a service that doesn't run with the profiles asked for.
func (m *model) inactive(path string) bool {
	for name := range m.project.DisabledServices {
		if strings.HasPrefix(path, "services."+name+".") {
			return true
		}
	}
	return false
}

// unknownProfiles warns of profiles that were asked for and that no service has.
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

// parse has the library merge and resolve the files.
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
		o.SkipConsistencyCheck = true // ours finds all mistakes, and their lines
		o.SkipResolveEnvironment = true
		o.SkipResolveLabels = true
		o.Interpolate.Substitute = func(s string, m template.Mapping) (string, error) {
			s, _, err := interpolated(s, m) // a missing variable has been noticed already
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

// unsetOfAll reports the missing variables, as which services are active isn't known.
func (v *inspector) unsetOfAll() {
	if !v.in.opts.AllowUnset || slices.ContainsFunc(v.missing, func(m missing) bool { return m.required }) {
		v.settleUnset(func(string) bool { return false })
	}
}

// settleUnset makes errors or warnings of the missing variables of the services that are active.
func (v *inspector) settleUnset(inactive func(path string) bool) {
	// Those met on behalf of an extending service come last: they matter where the extended one isn't active.
	slices.SortStableFunc(v.missing, func(a, b missing) int {
		switch {
		case a.again == b.again:
			return 0
		case a.again:
			return 1
		}
		return -1
	})
	told := map[string]bool{}
	for _, m := range v.missing {
		// What is below a top-level x- matters where an alias uses it, and was met there too.
		if !m.required && !m.envFile && (strings.HasPrefix(m.path, "x-") || inactive(m.path)) || told[m.at+m.name] {
			continue
		}
		told[m.at+m.name] = true
		dollar := ""
		if m.envFile {
			dollar = "put the value in single quotes if it has a plain $, "
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
