package table

import (
	"rhumb"
	"rhumb/internal/routeoption"
)

// validateOptions returns an error if options can't be served, or if a rule or a listener names others.
func validateOptions(t rhumb.Table) error {
	known := make(map[string]bool, len(t.Options))
	for i := range t.Options {
		o := &t.Options[i]
		switch {
		case known[o.ID]:
			return rhumb.Errorf(rhumb.Invalid, "routing table: two options have the ID %q", o.ID)
		case o.ID != o.RouteOptions.ID():
			return rhumb.Errorf(rhumb.Invalid, "routing table: %q is not the ID of those options", o.ID)
		}
		if err := routeoption.Validate(&o.RouteOptions); err != nil {
			return rhumb.Errorf(rhumb.Invalid, "routing table: options %s: %w", o.ID, err)
		}
		known[o.ID] = true
	}
	for _, r := range t.Rules {
		if r.Options != "" && !known[r.Options] {
			return rhumb.Errorf(rhumb.Invalid, "routing table: rule %s%s names the unknown options %q", r.Host, r.Path,
				r.Options)
		}
	}
	for _, l := range t.Listeners {
		if l.Options != "" && (!known[l.Options] || l.Protocol != rhumb.HTTP || l.Backend == "") {
			return rhumb.Errorf(rhumb.Invalid, "routing table: listener %s can't have the options %q", l.Addr, l.Options)
		}
	}
	return nil
}
