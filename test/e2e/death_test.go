package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The proxy learns of a death on its own: even without a daemon it sends nothing to a dead replica, neither from
// outside nor from inside.
func TestADeadReplicaGetsNothingWhileTheDaemonIsAway(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, two)
	k.must(0, "deploy")
	inner := k.innerURL("app")
	s.kill()
	calm := func(after string) {
		t.Helper()
		l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 100, inner: inner})
		time.Sleep(2 * time.Second)
		y := l.end()
		t.Logf("after %s, without a daemon: %v", after, y)
		if y.failed > 0 || y.longest > 900*time.Millisecond { // a lost SYN is sent again after a second
			t.Errorf("after %s: %v", after, y)
		}
	}
	victim, other := k.app(1), k.app(2)
	network := k.name + "_default"
	at := strings.TrimSpace(docker(t, "inspect", "-f",
		fmt.Sprintf("{{(index .NetworkSettings.Networks %q).IPAddress}}", network), victim))
	docker(t, "kill", victim)
	calm("docker kill")

	// Started by hand it is let in again, unless its address is another's meanwhile: that is for the daemon to find out.
	docker(t, "start", victim)
	eventually(t, 5*time.Second, "the restarted replica gets requests", func() error { return k.answersFrom(inner, 2) })
	docker(t, "stop", victim)
	docker(t, "run", "-d", "--name", k.name+"-squatter", "--network", network, "--ip", at, "rhumb-test/app:1", "sleep",
		"1h")
	docker(t, "start", victim)
	calm("a start elsewhere")
	docker(t, "rm", "-f", k.name+"-squatter")
	docker(t, "kill", other)
	s.start()
	s.await()
	eventually(t, 30*time.Second, "two replicas", func() error { return k.running(map[string]int{"app": 2}) })
	eventually(t, 5*time.Second, "both get requests from inside", func() error { return k.answersFrom(inner, 2) })
	eventually(t, 5*time.Second, "both get requests from outside", func() error { return k.answersFrom(k.url("/"), 2) })
}

// app returns the name of the replica in a slot of the first release.
func (k *stack) app(slot int) string { return fmt.Sprintf("%s-app.1.%d", k.name, slot) }

// answersFrom returns an error unless that many replicas answer behind a URL.
func (k *stack) answersFrom(url string, want int) error {
	seen := map[string]bool{}
	for range 20 {
		_, body, err := fetch(url)
		if err != nil {
			return err
		}
		var a struct{ Host string }
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			return err
		}
		seen[a.Host] = true
	}
	if len(seen) != want {
		return fmt.Errorf("%d answer: %v", len(seen), seen)
	}
	return nil
}
