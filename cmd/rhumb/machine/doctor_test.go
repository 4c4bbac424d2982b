package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/cmd/rhumb/server"
	"rhumb/install"
)

func TestDoctorChecksTheEngineOfTheInstallation(t *testing.T) {
	m := install.Machine{Root: t.TempDir()}
	path := filepath.Join(m.Root, install.Settings)
	looked := func(args ...string) string {
		t.Helper()
		conf := server.DefaultConfig()
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		fs.StringVar(&conf.DockerHost, "docker-host", conf.DockerHost, "")
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := completeConfig(&conf, m, fs); err != nil {
			t.Fatal(err)
		}
		return conf.DockerHost
	}
	usual := server.DefaultConfig().DockerHost
	if got := looked(); got != usual {
		t.Errorf("without an installation it checks %s", got)
	}
	if err := os.MkdirAll(path, 0o755); err != nil { // a folder: unreadable settings
		t.Fatal(err)
	}
	if got := looked(); got != usual {
		t.Errorf("without access to its settings it checks %s", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("RHUMB_DOCKER_HOST=unix:///kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := looked(); got != "unix:///kept" {
		t.Errorf("it checks %s", got)
	}
	t.Setenv("RHUMB_DOCKER_HOST", "unix:///environment")
	if got := looked(); got != "unix:///environment" {
		t.Errorf("with a variable it checks %s", got)
	}
	if got := looked("--docker-host", "unix:///flag"); got != "unix:///flag" {
		t.Errorf("with a flag it checks %s", got)
	}
}

// using is a server that uses engine.
type using struct {
	rhumb.Server
	engine string
	err    error
}

func (u using) Info(context.Context) (rhumb.ServerInfo, error) {
	return rhumb.ServerInfo{Engine: rhumb.EngineInfo{Host: u.engine}}, u.err
}

func TestDoctorChecksTheEngineOfTheRunningServer(t *testing.T) {
	asked := func(s using, args ...string) string {
		t.Helper()
		conf := server.DefaultConfig()
		conf.DockerHost = "unix:///settings"
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		fs.StringVar(&conf.DockerHost, "docker-host", conf.DockerHost, "")
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		serverEngine(t.Context(), &conf, s, fs)
		return conf.DockerHost
	}
	if got := asked(using{engine: "unix:///its"}); got != "unix:///its" {
		t.Errorf("it checks %s", got)
	}
	if got := asked(using{}); got != "unix:///settings" {
		t.Errorf("with an older server it checks %s", got)
	}
	if got := asked(using{engine: "unix:///its", err: errors.New("away")}); got != "unix:///settings" {
		t.Errorf("without a server it checks %s", got)
	}
	if got := asked(using{engine: "unix:///its"}, "--docker-host", "unix:///flag"); got != "unix:///flag" {
		t.Errorf("with a flag it checks %s", got)
	}
	t.Setenv("RHUMB_DOCKER_HOST", "unix:///environment")
	if got := asked(using{engine: "unix:///its"}); got != "unix:///settings" {
		t.Errorf("with a variable, which was read before, it checks %s", got)
	}
}
