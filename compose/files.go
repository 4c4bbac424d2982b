package compose

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"rhumb"
	"rhumb/compose/internal/diskfile"
	"rhumb/compose/internal/place"
)

var (
	// The usual file names, in docker compose's order.
	baseNames     = []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
	overrideNames = []string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml",
		"docker-compose.override.yaml"}
	environmentName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
)

// input is everything that is read before the first file is parsed.
type input struct {
	opts     Options
	start    string // paths in messages are relative to it
	dir      string // the project folder
	files    []*source
	sources  map[string]*source // by absolute path
	env      map[string]string  // the process's environment over the env files
	name     string
	byFolder bool // the name is that of the folder, not one that the user chose
	profiles []string
	missing  []missing // unset variables in env files
	warnings []rhumb.Note
}

// gather finds and reads the files and the environment, and chooses the stack's name.
func gather(o Options, start string) (*input, error) {
	in := &input{opts: o, start: start, sources: map[string]*source{}}
	if o.Env != "" && !environmentName.MatchString(o.Env) {
		return nil, rhumb.Errorf(rhumb.Invalid, "environment %q: not a name", o.Env).
			WithHint("use lower-case letters, digits, - and _, as in production")
	}
	environ := environMap(o.Environ)
	paths, err := in.find(environ)
	if err != nil {
		return nil, err
	}
	in.dir = projectDir(paths, start)
	envPaths, err := in.environmentFiles(&paths)
	if err != nil {
		return nil, err
	}
	if in.env, in.missing, err = in.readEnvironment(environ, envPaths); err != nil {
		return nil, err
	}
	var errs rhumb.Errors
	for _, p := range paths {
		src, err := in.read(p)
		if err != nil {
			errs = append(errs, err.(*rhumb.Error))
			continue
		}
		in.files = append(in.files, src)
	}
	if err := place.Joined(errs); err != nil {
		return nil, err
	}
	in.profiles = in.activeProfiles()
	return in, in.nameStack()
}

// find returns the absolute paths of the Compose files ("-" for Stdin), without the environment's file.
func (in *input) find(environ map[string]string) ([]string, error) {
	files := in.opts.Files
	if len(files) == 0 {
		files = in.filesOfEnvironment(environ)
	}
	if len(files) == 0 {
		return in.discover()
	}
	var paths []string
	for _, f := range files {
		switch {
		case f == "":
			return nil, rhumb.Errorf(rhumb.Invalid, "a Compose file's name is empty")
		case f == "-" || filepath.IsAbs(f):
			paths = append(paths, f)
		default:
			paths = append(paths, filepath.Join(in.start, f))
		}
	}
	return paths, nil
}

// filesOfEnvironment returns the files in COMPOSE_FILE, from the process's environment or from .env in the starting
// folder.
func (in *input) filesOfEnvironment(environ map[string]string) []string {
	env := environ
	if _, ok := env["COMPOSE_FILE"]; !ok {
		// An unreadable .env is reported later, when it is read again.
		if e, _, err := in.readEnvironment(environ, diskfile.Existing(filepath.Join(in.start, ".env"))); err == nil {
			env = e
		}
	}
	list := env["COMPOSE_FILE"]
	if list == "" {
		return nil
	}
	sep := env["COMPOSE_PATH_SEPARATOR"]
	if sep == "" {
		sep = string(os.PathListSeparator)
	}
	return strings.Split(list, sep)
}

// discover looks for a Compose file in the starting folder and its parents.
func (in *input) discover() ([]string, error) {
	for dir := in.start; ; dir = filepath.Dir(dir) {
		if found := diskfile.Present(dir, baseNames); len(found) > 0 {
			in.warnAmbiguous(found)
			paths := found[:1]
			overrides := diskfile.Present(dir, overrideNames)
			if len(overrides) == 0 {
				return paths, nil
			}
			if in.opts.Env != "" {
				in.warn(overrides[0], "left out because an environment is named: it is for development")
				return paths, nil
			}
			in.warnAmbiguous(overrides)
			return append(paths, overrides[0]), nil
		}
		if dir == filepath.Dir(dir) {
			return nil, rhumb.Errorf(rhumb.Invalid, "no Compose file in %s or above", in.start).
				WithHint("write a compose.yaml, or name a file with -f")
		}
	}
}

func (in *input) warnAmbiguous(found []string) {
	for _, f := range found[1:] {
		in.warn(f, "%s is used", filepath.Base(found[0]))
	}
}

func (in *input) warn(path, why string, args ...any) {
	in.warnings = append(in.warnings,
		rhumb.Note{Subject: in.shown(path), Fate: rhumb.Ignored, Why: fmt.Sprintf(why, args...)})
}

// environmentFiles adds the environment's Compose file to paths and returns the env files to read.
func (in *input) environmentFiles(paths *[]string) ([]string, error) {
	env := in.opts.Env
	var own []string
	if env != "" {
		own = in.environmentCompose(*paths)
		*paths = append(*paths, own...)
	}
	if len(in.opts.EnvFiles) > 0 {
		var list []string
		for _, f := range in.opts.EnvFiles {
			if !filepath.IsAbs(f) {
				f = filepath.Join(in.start, f)
			}
			list = append(list, f)
		}
		return list, nil
	}
	list := diskfile.Existing(filepath.Join(in.dir, ".env"))
	if env == "" {
		return list, nil
	}
	extra := diskfile.Existing(filepath.Join(in.dir, ".env."+env))
	if len(own)+len(extra) == 0 {
		return nil, rhumb.Errorf(rhumb.Invalid, "environment %s: neither compose.%s.yaml nor .env.%s is in %s", env, env, env,
			in.dir).
			WithHint("write one of them, or leave -e out")
	}
	return append(list, extra...), nil
}

// environmentCompose returns the environment's own file: NAME.ENV.yaml beside the first file NAME.yaml, or else one
// of the usual names.
func (in *input) environmentCompose(paths []string) []string {
	var names []string
	if first := paths[0]; first != "-" {
		stem := strings.TrimSuffix(filepath.Base(first), filepath.Ext(first))
		names = append(names, stem+"."+in.opts.Env+".yaml", stem+"."+in.opts.Env+".yml")
	}
	for _, stem := range []string{"compose", "docker-compose"} {
		names = append(names, stem+"."+in.opts.Env+".yaml", stem+"."+in.opts.Env+".yml")
	}
	found := diskfile.Present(in.dir, names)
	if len(found) == 0 {
		return nil
	}
	for _, p := range paths {
		if p == found[0] {
			return nil // it is one of the -f files already
		}
	}
	return found[:1]
}

// read reads and parses a Compose file once. Its errors are *rhumb.Error.
func (in *input) read(path string) (*source, error) {
	if src, ok := in.sources[path]; ok {
		return src, nil
	}
	name, content, err := in.content(path)
	if err != nil {
		return nil, err
	}
	src, err := parseSource(name, path, content)
	if err != nil {
		return nil, err
	}
	in.sources[path] = src
	return src, nil
}

func (in *input) content(path string) (string, []byte, error) {
	if path != "-" {
		name := in.shown(path)
		b, err := diskfile.Read(path, name, diskfile.MaxFile)
		if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() && !info.Mode().IsRegular() &&
			rhumb.ErrorHint(err) == "" {
			err = err.(*rhumb.Error).WithHint("write it to a file, or give it to -f - on the standard input")
		}
		return name, b, err
	}
	if in.opts.Stdin == nil {
		return "stdin", nil, rhumb.Errorf(rhumb.Invalid, "stdin: there is no input")
	}
	b, err := io.ReadAll(io.LimitReader(in.opts.Stdin, diskfile.MaxFile+1))
	if err != nil {
		return "stdin", nil, rhumb.Errorf(rhumb.Invalid, "stdin: %w", err)
	}
	if len(b) > diskfile.MaxFile {
		return "stdin", nil, diskfile.TooLarge("stdin", diskfile.MaxFile)
	}
	return "stdin", b, nil
}

// shown returns a path for messages: relative to the user's folder, unless that is far away.
func (in *input) shown(path string) string {
	rel, err := filepath.Rel(in.start, path)
	if err != nil || len(rel) > len(path) || strings.HasPrefix(rel, filepath.Join("..", "..", "..")) {
		return path
	}
	return rel
}

func projectDir(paths []string, start string) string {
	for _, p := range paths {
		if p != "-" {
			return filepath.Dir(p)
		}
	}
	return start
}
