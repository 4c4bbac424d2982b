package crowdsec

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb/internal/porttest"
)

// referee is CrowdSec's own local API.
type referee struct {
	*testing.T
	config, url string
}

// newReferee starts it with a folder and a database of its own.
func newReferee(t *testing.T) *referee {
	t.Helper()
	for _, program := range []string{"crowdsec", "cscli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err, ": scripts/test-tools installs it")
		}
	}
	dir, addr := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", porttest.Free(t))
	r := &referee{T: t, config: filepath.Join(dir, "config.yaml"), url: "http://" + addr}
	files := map[string]string{
		"config.yaml": strings.NewReplacer("DIR", dir, "ADDR", addr).Replace(`common:
  daemonize: false
  pid_dir: DIR
  log_media: stdout
  log_level: info
  working_dir: DIR
config_paths:
  config_dir: DIR
  data_dir: DIR
  simulation_path: DIR/simulation.yaml
  hub_dir: DIR/hub
  index_path: DIR/hub/.index.json
cscli:
  output: raw
db_config:
  type: sqlite
  db_path: DIR/crowdsec.db
  flush:
    max_items: 5000
    max_age: 7d
api:
  client:
    credentials_path: DIR/credentials.yaml
  server:
    listen_uri: ADDR
    profiles_path: DIR/profiles.yaml
prometheus:
  enabled: false
`),
		"simulation.yaml": "simulation: false\n",
		"profiles.yaml": "name: default\nfilters:\n - Alert.Remediation == true\n" +
			"decisions:\n - type: ban\n   duration: 4h\n",
		"credentials.yaml": "url: http://" + addr + "\nlogin: tester\npassword: secret-of-the-tester\n",
	}
	if err := os.MkdirAll(filepath.Join(dir, "hub"), 0o755); err != nil {
		t.Fatal(err)
	}
	files["hub/.index.json"] = "{}"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.cscli("machines", "add", "tester", "--password", "secret-of-the-tester", "--force", "-f",
		filepath.Join(dir, "credentials.yaml"), "-u", r.url)
	r.start(addr)
	return r
}

// start runs the local API until the test ends, and waits until it listens.
func (r *referee) start(addr string) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "crowdsec", "-no-cs", "-c", r.config)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		cancel()
		r.Fatal(err)
	}
	r.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		r.Log(out.String())
	})
	late, tick := time.After(20*time.Second), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-late:
			r.Fatal("the local API doesn't listen: ", err)
		}
	}
}

func (r *referee) cscli(args ...string) string {
	r.Helper()
	out, err := exec.Command("cscli", append([]string{"-c", r.config}, args...)...).CombinedOutput()
	if err != nil {
		r.Fatalf("cscli %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestCrowdSecsOwnAPIIsUnderstood(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds, and -short is on")
	}
	r := newReferee(t)
	key := strings.TrimSpace(r.cscli("bouncers", "add", "rhumb", "-o", "raw"))
	b, book := newBouncer(t, r.url, key)
	turn := func() {
		t.Helper()
		if _, _, err := b.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.cscli("decisions", "add", "--ip", "203.0.113.7", "--duration", "1h", "--reason", "by hand")
	r.cscli("decisions", "add", "--range", "203.0.114.0/24", "--duration", "1h")
	r.cscli("decisions", "add", "--ip", "203.0.113.8", "--duration", "1h", "--type", "captcha")
	turn()
	wantBanned(t, book, map[string]bool{"203.0.113.7": true, "203.0.114.9": true, "203.0.113.8": false})
	r.cscli("decisions", "add", "--ip", "2001:db8::7", "--duration", "1h")
	r.cscli("decisions", "delete", "--ip", "203.0.113.7")
	turn()
	wantBanned(t, book, map[string]bool{"203.0.113.7": false, "203.0.114.9": true, "2001:db8::7": true})
	if out := r.cscli("bouncers", "list", "-o", "raw"); !strings.Contains(out, "rhumb") {
		t.Errorf("it knows the bouncers %s", out)
	}
	r.cscli("bouncers", "delete", "rhumb")
	if _, _, err := b.turn(t.Context()); err == nil {
		t.Error("a bouncer that it doesn't know is answered")
	}
	wantBanned(t, book, map[string]bool{"203.0.114.9": true, "2001:db8::7": true})
}
