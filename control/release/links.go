package release

import (
	"slices"
	"strings"

	"rhumb"
)

// linkServices makes services new when those they hang on are: depends_on with restart, shared namespaces.
func linkServices(model *rhumb.Stack) error {
	done := map[string]bool{}
	var visit func(name string, path []string) error
	visit = func(name string, path []string) error {
		if slices.Contains(path, name) {
			return rhumb.Errorf(rhumb.Invalid, "services depend on one another: %s", strings.Join(append(path, name), " -> "))
		}
		s := model.Service(name)
		if s == nil || done[name] {
			return nil
		}
		for _, d := range s.DependsOn {
			if err := visit(d.Service, append(path, name)); err != nil {
				return err
			}
			if other := model.Service(d.Service); other != nil && (d.Restart || slices.Contains(Joins(s), d.Service)) {
				if s.Container.RestartOn == nil {
					s.Container.RestartOn = map[string]string{}
				}
				s.Container.RestartOn[d.Service] = other.Container.Hash()
			}
		}
		linkPreStart(s)
		done[name] = true
		return nil
	}
	for _, s := range model.Services {
		if err := visit(s.Name, nil); err != nil {
			return err
		}
	}
	linkHooks(model)
	return nil
}

// Joins lists the services whose namespaces or volumes a service shares.
func Joins(s *rhumb.Service) []string {
	var names []string
	for _, mode := range []string{s.Container.NetworkMode, s.Container.PID, s.Container.IPC} {
		if name, ok := strings.CutPrefix(mode, "service:"); ok {
			names = append(names, name)
		}
	}
	for _, v := range s.Container.VolumesFrom {
		if name, _, _ := strings.Cut(v, ":"); !strings.HasPrefix(v, "container:") {
			names = append(names, name)
		}
	}
	return names
}
