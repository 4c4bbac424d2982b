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
			if other := model.Service(d.Service); other != nil && (d.Restart || slices.Contains(s.Container.Joins(), d.Service)) {
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
