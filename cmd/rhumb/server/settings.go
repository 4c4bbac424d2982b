package server

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/install"
)

// FromEnvironment fills in the flags that are not given from variables: with the prefix "RHUMB_", --docker-host from RHUMB_DOCKER_HOST.
// Some flags may be excepted.
func FromEnvironment(fs *pflag.FlagSet, prefix string, except ...string) error {
	var bad error
	fs.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(except, f.Name) {
			return
		}
		name := variable(prefix, f.Name)
		v, ok := os.LookupEnv(name)
		if !ok || f.Changed || bad != nil {
			return
		}
		if err := fs.Set(f.Name, v); err != nil {
			bad = rhumb.Errorf(rhumb.Invalid, "%s=%s: %v", name, v, err)
		}
	})
	return bad
}

// Given gives the server's flags that were given, as the variables that an installation keeps.
func Given(fs *pflag.FlagSet) map[string]string {
	ours := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Config).Flags(ours)
	given := map[string]string{}
	fs.Visit(func(f *pflag.Flag) {
		if ours.Lookup(f.Name) == nil {
			return
		}
		value := f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = strings.Join(list.GetSlice(), ",")
		}
		given[variable("RHUMB_", f.Name)] = value
	})
	return given
}

// variable is the name of the variable that stands for a flag.
func variable(prefix, flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Installed fills in what the command line, which sets the flags of fs, leaves open from the settings that an installation keeps, and
// makes the paths absolute. Settings that don't fit are no reason not to back up or to remove: only Validate refuses them.
func (c *Config) Installed(m install.Machine, fs *pflag.FlagSet) error {
	kept, err := m.Settings()
	if err != nil {
		return err
	}
	all := pflag.NewFlagSet("", pflag.ContinueOnError) // a command has flags for a few of them only
	c.Flags(all)
	var bad error
	all.VisitAll(func(f *pflag.Flag) {
		v, ok := kept[variable("RHUMB_", f.Name)]
		if !ok || fs.Changed(f.Name) || bad != nil {
			return
		}
		if err := f.Value.Set(v); err != nil {
			bad = rhumb.Errorf(rhumb.Invalid, "%s: %s=%s: %v", install.Settings, variable("RHUMB_", f.Name), v, err)
		}
	})
	if bad != nil {
		return bad
	}
	return c.locate()
}
