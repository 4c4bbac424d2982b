package server

import (
	"testing"

	"github.com/spf13/pflag"

	"rhumb"
)

func TestAVariableStandsForAFlagThatIsNotGiven(t *testing.T) {
	t.Setenv("RHUMB_KEEP_RELEASES", "3")
	t.Setenv("RHUMB_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1")
	t.Setenv("RHUMB_DATA", "/from/environment")
	parse := func(args ...string) *pflag.FlagSet {
		conf, fs := DefaultConfig(), pflag.NewFlagSet("", pflag.ContinueOnError)
		conf.Flags(fs)
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		return fs
	}
	fs := parse("--data", "/from/flag")
	if err := FromEnvironment(fs, "RHUMB_"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"data": "/from/flag", "keep-releases": "3", "trusted-proxies": "[10.0.0.0/8,192.0.2.1]"} {
		if got := fs.Lookup(name).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", name, got, want)
		}
	}
	t.Setenv("RHUMB_KEEP_RELEASES", "many")
	if err := FromEnvironment(parse(), "RHUMB_"); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("got %v", err)
	}
}
