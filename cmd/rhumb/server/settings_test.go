package server

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/install"
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
	for name, want := range map[string]string{"data": "/from/flag", "keep-releases": "3",
		"trusted-proxies": "[10.0.0.0/8,192.0.2.1]"} {
		if got := fs.Lookup(name).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", name, got, want)
		}
	}
	t.Setenv("RHUMB_KEEP_RELEASES", "many")
	if err := FromEnvironment(parse(), "RHUMB_"); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestWhatAnInstallationKeepsCountsForCommandsThatHaveNoFlagForIt(t *testing.T) {
	m := install.Machine{Root: t.TempDir()}
	kept := filepath.Join(m.Root, install.Settings)
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	settings := "RHUMB_DATA=/kept\nRHUMB_SOCKET=/kept/socket\nRHUMB_ACME_ROOT=/gone\n" +
		"RHUMB_TRUSTED_PROXIES=10.0.0.0/8,192.0.2.1\n"
	if err := os.WriteFile(kept, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	conf, fs := DefaultConfig(), pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.StringVar(&conf.Data, "data", conf.Data, "")
	if err := fs.Parse([]string{"--data", "/given"}); err != nil {
		t.Fatal(err)
	}
	if err := conf.Installed(m, fs); err != nil {
		t.Fatal(err)
	}
	if conf.Data != "/given" || conf.Socket != "/kept/socket" || len(conf.TrustedProxies) != 2 {
		t.Errorf("data %s, socket %s, trusted %v", conf.Data, conf.Socket, conf.TrustedProxies)
	}
	conf, fs = DefaultConfig(), pflag.NewFlagSet("", pflag.ContinueOnError)
	conf.Flags(fs)
	if err := fs.Parse([]string{"--trusted-proxies", "203.0.113.9", "--acme-email", "ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	if err := conf.Installed(m, fs); err != nil || len(conf.TrustedProxies) != 1 || conf.Data != "/kept" ||
		conf.TLS.ACMEEmail != "ada@example.com" {
		t.Errorf("%v: %+v", err, conf)
	}
}
