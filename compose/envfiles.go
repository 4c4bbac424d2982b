package compose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/diskfile"
)

// readReferencedFiles reads the env and label files of all services and hooks, and sets their environments and
// labels.
func (v *inspector) readReferencedFiles(p *types.Project) {
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		said := s.ContainerSpec
		v.readFilesOf("services."+name, &s.ContainerSpec, types.ContainerSpec{})
		for i := range s.PreStart {
			v.readFilesOf(fmt.Sprintf("services.%s.pre_start[%d]", name, i), &s.PreStart[i].ContainerSpec, said)
		}
		p.Services[name] = s
	}
}

// readFilesOf reads the files of a container. A hook's lists begin with those of its service; mistakes in them are
// reported for the service.
func (v *inspector) readFilesOf(path string, s *types.ContainerSpec, inherited types.ContainerSpec) {
	s.Environment = s.Environment.Resolve(v.in.lookup)
	lookup := func(k string) (string, bool) {
		if x, ok := v.in.lookup(k); ok {
			return x, true
		}
		if x := s.Environment[k]; x != nil {
			return *x, true
		}
		return "", false
	}
	vars, own := types.Mapping{}, 0
	for _, f := range s.EnvFiles {
		at := ""
		if !slices.Contains(inherited.EnvFiles, f) {
			at = fmt.Sprintf("%s.env_file[%d]", path, own)
			own++
		}
		v.readEnvFile(at, f, vars, lookup)
	}
	if len(s.EnvFiles) > 0 {
		s.Environment = vars.ToMappingWithEquals().OverrideBy(s.Environment)
	}
	labels, own := types.Mapping{}, 0
	for _, f := range s.LabelFiles {
		at := ""
		if !slices.Contains(inherited.LabelFiles, f) {
			at = fmt.Sprintf("%s.label_file[%d]", path, own)
			own++
		}
		v.readLabelFile(at, f, labels)
	}
	if len(s.LabelFiles) > 0 {
		maps.Copy(labels, types.Mapping(s.Labels))
		s.Labels = types.Labels(labels)
	}
	s.EnvFiles, s.LabelFiles = nil, nil
}

// readEnvFile adds a file's variables to vars; later lines and files may use them. If path is "", a file that can't
// be read has been reported already.
func (v *inspector) readEnvFile(at string, f types.EnvFile, vars types.Mapping, lookup func(string) (string, bool)) {
	b, err := diskfile.Read(f.Path, v.in.shown(f.Path), diskfile.MaxEnvFile)
	if err != nil {
		absent := rhumb.ErrorCode(err) == rhumb.Invalid && len(diskfile.Existing(f.Path)) == 0
		if at != "" && (bool(f.Required) || !absent) {
			v.bad.At(at, envFileHint(err), "%s", err)
		}
		return
	}
	file := newEnvFile(v.in.shown(f.Path), lookup, vars)
	switch f.Format {
	case "", ".env":
		file.readDotenv(b)
	case rawFormat:
		file.readRaw(b)
	default:
		if at != "" {
			v.bad.At(at+".format", "write raw, or leave it out", "unknown format %q", f.Format)
		}
	}
	v.took(file)
}

func (v *inspector) readLabelFile(at, path string, labels types.Mapping) {
	b, err := diskfile.Read(path, v.in.shown(path), diskfile.MaxFile)
	if err != nil {
		if at != "" {
			v.bad.At(at, "", "%s", err)
		}
		return
	}
	file := newEnvFile(v.in.shown(path), v.in.lookup, labels)
	file.readDotenv(b)
	v.took(file)
}

// took records the mistakes in a file.
func (v *inspector) took(file *envFile) {
	v.missing = append(v.missing, file.unset...)
	for _, e := range file.bad {
		v.bad.AddError(e)
	}
}

func envFileHint(err error) string {
	if strings.Contains(err.Error(), "no such file") {
		return "write it, or say {path: …, required: false}"
	}
	return ""
}
