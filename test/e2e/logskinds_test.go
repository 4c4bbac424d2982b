package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
)

const speaking = `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: one}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    pre_start:
      - {command: ["do", "print", "before the start"]}
    post_start:
      - {command: ["/app", "do", "print", "after the start"]}
    x-rhumb:
      drain: 1s
      access_log: true
      after: {command: ["do", "print", "all is well"]}
`

func TestAllThatAStackSaysIsKept(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, speaking)
	k.must(0, "deploy")
	for i := range 7 {
		if code, _, err := fetch(k.url(fmt.Sprintf("/status?n=%d", i))); err != nil || code == 0 {
			t.Errorf("request %d: %d, %v", i, code, err)
		}
	}
	if out := k.must(0, "run", "app", "do", "print", "by hand"); !strings.Contains(out, "by hand") {
		t.Errorf("rhumb run prints %q", out)
	}
	for text, flags := range map[string][]string{
		"starting one": {"app"}, "before the start": {}, "after the start": {"--kind", "hook"}, "all is well": {},
		"by hand": {}, "converged": {"--kind", "event"},
	} {
		eventually(t, 10*time.Second, text, func() error {
			lines := k.lines(append(flags, "--grep", text)...)
			if n := len(lines); n != 1 && text != "converged" || n == 0 {
				return fmt.Errorf("%d lines with %q", n, text)
			}
			l := lines[0]
			if l.Stack != k.name || l.Time.IsZero() || text != "converged" && !strings.HasPrefix(l.Service, "app") {
				return fmt.Errorf("%q is a line of %+v", text, l)
			}
			return nil
		})
	}
	eventually(t, 10*time.Second, "each request has a line", func() error {
		var paths []string
		for _, l := range k.lines("--kind", "access", "--grep", "/status") {
			if l.Service != "app" || l.Release != 1 || l.Fields["method"] != "GET" || l.Fields["client"] != "127.0.0.1" {
				return fmt.Errorf("a line is %+v", l)
			}
			paths = append(paths, strings.TrimPrefix(l.Fields["path"], "/status?n="))
		}
		if !slices.Equal(paths, []string{"0", "1", "2", "3", "4", "5", "6"}) {
			return fmt.Errorf("requests %v", paths)
		}
		return nil
	})
	if r := s.rhumb("", "logs", "--kind", "daemon", "--grep", "server started"); r.code != 0 ||
		!strings.Contains(r.out, "server started") {
		t.Errorf("the daemon's log: exit %d, %s", r.code, r.out)
	}
	k.must(0, "down")
	if n := len(k.lines("--grep", "by hand|before the start|after the start|all is well")); n != 4 {
		t.Errorf("after down there are %d of 4 lines", n)
	}
}

// lines returns the kept lines that flags choose.
func (k *stack) lines(flags ...string) []rhumb.LogLine {
	r := k.rhumb("logs", append(flags, "--format", "json")...)
	var all []rhumb.LogLine
	for line := range strings.Lines(r.out) {
		var l rhumb.LogLine
		if err := json.Unmarshal([]byte(line), &l); err == nil && l.Stack != "" {
			all = append(all, l)
		}
	}
	return all
}
