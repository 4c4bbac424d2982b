package release

import (
	"rhumb"
	"rhumb/internal/htpasswd"
)

// hashOptions copies the hashes of files to the options of routes, by which the proxy finds them. It refuses users that
// the proxy can't read: those of an external secret are known only here.
func (d *draft) hashOptions() error {
	for i := range d.model.Services {
		s := &d.model.Services[i]
		for _, o := range s.OptionSets() {
			for _, f := range o.Files() {
				file := d.model.File(f.Kind, f.Name)
				if file == nil {
					return rhumb.Errorf(rhumb.Invalid, "service %s: there is no %s %q", s.Name, f.Kind, f.Name)
				}
				f.Hash = file.Hash
			}
			if o.Auth == nil {
				continue
			}
			file := d.model.File(o.Auth.Users.Kind, o.Auth.Users.Name)
			if file.External != "" && file.Content == nil {
				continue // the value is missing, which is reported with all others
			}
			if _, err := htpasswd.Parse(file.Content); err != nil {
				return rhumb.Errorf(rhumb.Invalid, "service %s: the users in %s %s can't be read: %w", s.Name, file.Kind,
					file.Name, err).WithHint(htpasswd.Hint)
			}
		}
	}
	return nil
}
