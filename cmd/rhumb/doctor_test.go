package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"rhumb/cmd/rhumb/server"
	"rhumb/install"
)

func TestDoctorLooksAtTheEngineThatTheInstallationUses(t *testing.T) {
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
		if err := lookedAt(&conf, m, fs); err != nil {
			t.Fatal(err)
		}
		return conf.DockerHost
	}
	usual := server.DefaultConfig().DockerHost
	if got := looked(); got != usual {
		t.Errorf("without an installation it looks at %s", got)
	}
	if err := os.MkdirAll(path, 0o755); err != nil { // settings that can't be read
		t.Fatal(err)
	}
	if got := looked(); got != usual {
		t.Errorf("without a right to its settings it looks at %s", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("RHUMB_DOCKER_HOST=unix:///kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := looked(); got != "unix:///kept" {
		t.Errorf("it looks at %s", got)
	}
	t.Setenv("RHUMB_DOCKER_HOST", "unix:///environment")
	if got := looked(); got != "unix:///environment" {
		t.Errorf("with a variable it looks at %s", got)
	}
	if got := looked("--docker-host", "unix:///flag"); got != "unix:///flag" {
		t.Errorf("with a flag it looks at %s", got)
	}
}
