package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
)

// forwardTo returns the URLs of --forward and of a file.
func forwardTo(file string, list ...string) URLs {
	c := defaultObserverConfig().Forward
	c.List, c.File = list, file
	return c
}

func forwardFile(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "urls")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDestinationsAreThoseOfTheFlagsAndOfTheFile(t *testing.T) {
	private := forwardFile(t, 0o640, "# ours\n\n  loki+https://ada:s%40cret@loki.example/push\n#gelf://old\ngelf://h\n")
	c := forwardTo(private, "syslog://h")
	got, err := c.All()
	want := []string{"syslog://h", "loki+https://ada:s%40cret@loki.example/push", "gelf://h"}
	if err != nil || !slices.Equal(got, want) || c.exposed() {
		t.Errorf("got %q, %v, exposed %v", got, err, c.exposed())
	}
	if c.File = forwardFile(t, 0o604, ""); !c.exposed() {
		t.Error("a file that all users can read isn't exposed")
	}
	c = forwardTo("")
	if none, err := c.All(); err != nil || len(none) > 0 || c.exposed() {
		t.Errorf("without flags: %q, %v", none, err)
	}
}

func TestAWrongDestinationIsRefusedWithItsPlace(t *testing.T) {
	file := forwardFile(t, 0o600, "# one\ngelf://ada:hunter2@h\n")
	for _, c := range []struct {
		conf  URLs
		words string
	}{
		{forwardTo("", "smtp://h"), `unknown scheme "smtp"`},
		{forwardTo("", "gelf://h", "gelf://h:12201"), "configured twice"},
		{forwardTo(file), file + ":2: log destination gelf://h:12201: the protocol has no user"},
		{forwardTo("/nowhere"), "--forward-file can't be read"},
	} {
		conf := DefaultConfig()
		conf.Observer.Forward = c.conf
		err := conf.Validate()
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), c.words) || rhumb.ErrorHint(err) == "" ||
			strings.Contains(err.Error()+rhumb.ErrorHint(err), "hunter2") {
			t.Errorf("%q: got %v", c.conf.List, err)
		}
	}
}

func TestSeveralDestinationsAreOneVariable(t *testing.T) {
	t.Setenv("RHUMB_FORWARD", "syslog://h gelf://h?a=1,2")
	conf, fs := DefaultConfig(), pflag.NewFlagSet("", pflag.ContinueOnError)
	conf.Flags(fs)
	want := urls{"syslog://h", "gelf://h?a=1,2"}
	if err := FromEnvironment(fs, "RHUMB_"); err != nil || !slices.Equal(conf.Observer.Forward.List, want) {
		t.Errorf("got %q, %v", conf.Observer.Forward.List, err)
	}
	conf, fs = DefaultConfig(), pflag.NewFlagSet("", pflag.ContinueOnError)
	conf.Flags(fs)
	if err := fs.Parse([]string{"--forward", "syslog://a", "--forward", "syslog://b"}); err != nil {
		t.Fatal(err)
	}
	want = urls{"syslog://a", "syslog://b"}
	if err := FromEnvironment(fs, "RHUMB_"); err != nil || !slices.Equal(conf.Observer.Forward.List, want) {
		t.Errorf("got %q, %v", conf.Observer.Forward.List, err)
	}
	if got := Given(fs)["RHUMB_FORWARD"]; got != "syslog://a syslog://b" {
		t.Errorf("an installation keeps %q", got)
	}
}

func TestPasswordsAreNotArguments(t *testing.T) {
	conf := DefaultConfig()
	conf.Observer.Forward = forwardTo("/etc/urls", "loki+https://ada:hunter2@h")
	p := observeProcess(conf, link.Dial("/nowhere"))
	if strings.Contains(strings.Join(p.args, " "), "hunter2") || !slices.Contains(p.args, "/etc/urls") {
		t.Errorf("the arguments are %q", p.args)
	}
	if !slices.Contains(p.env, "RHUMB_OBSERVE_FORWARD=loki+https://ada:hunter2@h") {
		t.Errorf("the variables are %q", p.env)
	}
}

func TestAProcessWithOtherSettingsIsNotCurrent(t *testing.T) {
	cmd := exec.Command("sleep", "60", "0", "0")
	cmd.Env = []string{"FORWARD=a b", "OTHER=1"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // and Wait reports that
		_ = cmd.Wait()
	}()
	for _, file := range []string{"cmdline", "environ"} { // the kernel fills them in a moment after the start
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, file))
			if err != nil || len(b) > 0 {
				break
			}
		}
	}
	for _, c := range []struct {
		p    process
		want bool
	}{
		{process{name: "60", args: []string{"0", "0"}, env: []string{"FORWARD=a b"}}, true},
		{process{name: "60", args: []string{"0", "0"}, env: []string{"FORWARD=a"}}, false},
		{process{name: "60", args: []string{"0", ""}}, false},
		{process{name: "60", args: []string{"0"}}, false},
	} {
		if got := c.p.configured(cmd.Process.Pid); got != c.want {
			t.Errorf("%q with %q: %v", c.p.args, c.p.env, got)
		}
	}
}
