package compose

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"go.yaml.in/yaml/v4"

	"rhumb"
	"rhumb/compose/internal/diskfile"
	"rhumb/compose/internal/place"
)

func environMap(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok && k != "" {
			env[k] = v
		}
	}
	return env
}

// readEnvironment reads env files in order; later ones override earlier ones, and environ overrides all.
func (in *input) readEnvironment(environ map[string]string, paths []string) (map[string]string, []missing, error) {
	env, unset, err := in.readEnvFiles(paths, func(k string) (string, bool) { v, ok := environ[k]; return v, ok })
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(env, environ)
	return env, unset, nil
}

// readEnvFiles reads env files in order; later ones override earlier ones. Values may use the variables that lookup
// knows, then those of earlier lines and files.
func (in *input) readEnvFiles(paths []string,
	lookup func(string) (string, bool)) (map[string]string, []missing, error) {
	env := map[string]string{}
	var unset []missing
	var bad rhumb.Errors
	for _, p := range paths {
		name := in.shown(p)
		b, err := diskfile.Read(p, name, diskfile.MaxEnvFile)
		if err != nil {
			return nil, nil, err
		}
		f := newEnvFile(name, lookup, env)
		f.readDotenv(b)
		unset, bad = append(unset, f.unset...), append(bad, f.bad...)
	}
	return env, unset, place.Joined(bad)
}

func (in *input) lookup(k string) (string, bool) {
	v, ok := in.env[k]
	return v, ok
}

func (in *input) activeProfiles() []string {
	list := in.opts.Profiles
	if len(list) == 0 {
		list = strings.Split(in.env["COMPOSE_PROFILES"], ",")
	}
	var active []string
	for _, p := range list {
		if p = strings.TrimSpace(p); p != "" && !slices.Contains(active, p) {
			active = append(active, p)
		}
	}
	return active
}

// nameStack chooses the stack's name: -p, COMPOSE_PROJECT_NAME, name: in the last file that has it, or folder and
// environment.
func (in *input) nameStack() error {
	name, from := in.opts.Name, "-p"
	if name == "" {
		name, from = in.env["COMPOSE_PROJECT_NAME"], "COMPOSE_PROJECT_NAME"
	}
	if name != "" {
		return in.setName(name, from)
	}
	for i := len(in.files) - 1; i >= 0; i-- {
		n := in.files[i].top("name")
		if n == nil || n.Kind != yaml.ScalarNode || n.Value == "" {
			continue
		}
		v, _, err := interpolated(n.Value, in.lookup)
		if err != nil {
			continue // inspect reports it, with its line
		}
		return in.setName(v, in.files[i].name+":"+strconv.Itoa(n.Line))
	}
	base := loader.NormalizeProjectName(filepath.Base(in.dir))
	if base == "" {
		return rhumb.Errorf(rhumb.Invalid, "folder %s: no stack name can be made of it", in.dir).
			WithHint("name the stack with -p")
	}
	if in.opts.Env != "" {
		base += "-" + in.opts.Env
	}
	in.byFolder = true
	return in.setName(base, in.dir)
}

// setName sets the name, which files may use as ${COMPOSE_PROJECT_NAME}.
func (in *input) setName(name, from string) error {
	if name != loader.NormalizeProjectName(name) || len(name) > 63 {
		return &rhumb.Error{Code: rhumb.Invalid, At: from, Msg: "name: " + strconv.Quote(name) + " can't name a stack",
			Hint: "use lower-case letters, digits, - and _, a letter or digit first, at most 63 of them"}
	}
	in.name = name
	in.env["COMPOSE_PROJECT_NAME"] = name
	return nil
}
