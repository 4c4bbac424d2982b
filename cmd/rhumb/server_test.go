package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
)

func TestAWrongServerConfigurationIsRefused(t *testing.T) {
	for words, spoil := range map[string]func(*serverConfig){
		"not an address":       func(c *serverConfig) { c.HTTP = "80" },
		"is not an address":    func(c *serverConfig) { c.HTTP = ":0" },
		"is the address of":    func(c *serverConfig) { c.TLS.HTTPS = ":80" },
		"--https \"x\"":        func(c *serverConfig) { c.TLS.HTTPS = "x" },
		"not the https URL":    func(c *serverConfig) { c.TLS.ACME = "http://ca.example" },
		"--acme-email":         func(c *serverConfig) { c.TLS.ACMEEmail = "nobody" },
		"can't be read":        func(c *serverConfig) { c.TLS.ACMERoot = "/nowhere" },
		"holds no certificate": func(c *serverConfig) { c.TLS.ACMERoot = "server_test.go" },
		"not a network":        func(c *serverConfig) { c.TrustedProxies = []string{"10.0.0.0/8", "everyone"} },
		"at least the one":     func(c *serverConfig) { c.KeepReleases = 0 },
		"no log format":        func(c *serverConfig) { c.LogFormat = "xml" },
		"too long":             func(c *serverConfig) { c.Socket = "/" + strings.Repeat("x", 120) },
	} {
		c := defaultServerConfig()
		spoil(&c)
		if err := c.validate(); rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v", words, err)
		}
	}
	c := defaultServerConfig()
	c.HTTP, c.TrustedProxies = "192.0.2.1:8080", []string{"10.0.0.0/8", "::1"}
	if err := c.validate(); err != nil {
		t.Error(err)
	}
}

func TestAVariableStandsForAFlagThatIsNotGiven(t *testing.T) {
	t.Setenv("RHUMB_KEEP_RELEASES", "3")
	t.Setenv("RHUMB_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1")
	t.Setenv("RHUMB_DATA", "/from/environment")
	a := &app{interrupts: newInterrupts()}
	cmd := a.serverCommand()
	if err := cmd.ParseFlags([]string{"--data", "/from/flag"}); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(cmd, "RHUMB_"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"data": "/from/flag", "keep-releases": "3", "trusted-proxies": "[10.0.0.0/8,192.0.2.1]"} {
		if got := cmd.Flags().Lookup(name).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", name, got, want)
		}
	}
	t.Setenv("RHUMB_KEEP_RELEASES", "many")
	if err := fromEnvironment(a.serverCommand(), "RHUMB_"); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestAFolderHasOneServer(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(dir); rhumb.ErrorCode(err) != rhumb.Locked {
		t.Errorf("a second one gets %v", err)
	}
	unlock()
	again, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestTheSocketIsForItsOwnerAndGroupAndReplacesOneThatNobodyAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "s")
	ln, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("it has the mode %v, %v", info.Mode(), err)
	}
	if _, err := listenUnix(path); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Errorf("while it answers: got %v", err)
	}
	ln.Close()
	ln, err = listenUnix(path) // the dead one's file is still there
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("beside the socket there is more: %v", left)
	}
}
