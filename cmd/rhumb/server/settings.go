package server

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/install"
)

// FromEnvironment sets the flags that are not on the command line, except some, from environment variables. With the
// prefix "RHUMB_", --docker-host is RHUMB_DOCKER_HOST.
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

// Given returns the server's flags on the command line, as the variables that an installation keeps.
func Given(fs *pflag.FlagSet) map[string]string {
	ours, conf := pflag.NewFlagSet("", pflag.ContinueOnError), DefaultConfig()
	conf.Flags(ours)
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

// variable returns the name of the environment variable for a flag.
func variable(prefix, flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Installed sets what the command line (fs) leaves open from the settings of an installation, and makes the paths
// absolute. Only Validate refuses settings that make no sense: they must not prevent a backup or a removal.
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
