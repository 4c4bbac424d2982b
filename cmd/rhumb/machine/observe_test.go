package machine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"rhumb/cmd/rhumb/server"
)

func TestObserveFindsItsFolderInTheSettingsOfTheServer(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env           map[string]string
		args          []string
		state, socket string
	}{
		{nil, nil, "/var/lib/rhumb/observe", "/var/lib/rhumb/observe/api.sock"},
		{map[string]string{"RHUMB_DATA": "/srv/r", "RHUMB_SOCKET": "/run/of/server"}, nil,
			"/srv/r/observe", "/srv/r/observe/api.sock"},
		{map[string]string{"RHUMB_DATA": "/srv/r", "RHUMB_OBSERVE_STATE": "/logs"}, nil, "/logs", "/logs/api.sock"},
		{map[string]string{"RHUMB_DATA": "/srv/r"}, []string{"--state", "logs", "--socket", "/s"},
			filepath.Join(here, "logs"), "/s"},
	} {
		t.Run(c.state, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			f, fs := observeFlags{conf: server.DefaultConfig()}, pflag.NewFlagSet("", pflag.ContinueOnError)
			f.flags(fs)
			if err := fs.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			if err := f.complete(fs); err != nil || f.state != c.state || f.socket != c.socket {
				t.Errorf("state %s, socket %s, %v; want %s, %s", f.state, f.socket, err, c.state, c.socket)
			}
		})
	}
}

func TestObserveHasTheDestinationsOfTheServer(t *testing.T) {
	t.Setenv("RHUMB_FORWARD", "syslog://of.the.environment")
	t.Setenv("RHUMB_OBSERVE_FORWARD", "syslog://a syslog://b")
	t.Setenv("RHUMB_FORWARD_FILE", "/etc/urls")
	f, fs := observeFlags{conf: server.DefaultConfig()}, pflag.NewFlagSet("", pflag.ContinueOnError)
	f.flags(fs)
	if err := fs.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if err := f.complete(fs); err != nil || f.conf.Observer.Forward.List.String() != "syslog://a syslog://b" ||
		f.conf.Observer.Forward.File != "/etc/urls" {
		t.Errorf("got %+v, %v", f.conf.Observer.Forward.List, err)
	}
}
