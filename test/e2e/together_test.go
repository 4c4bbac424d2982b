package e2e

import (
	"fmt"
	"regexp"
	"sync"
	"testing"

	"rhumb"
)

// alone is a stack of one service that changes fast.
const alone = `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    stop_grace_period: 1s
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    deploy: {update_config: {monitor: 0s}}
    x-rhumb: {drain: 1s}
`

// refusal is the message for a client while another client's deployment is open: who started it, what it does, and
// since when.
var refusal = regexp.MustCompile(`another deployment of \S+ is going on: \d+ to \d+ by \S+, since \d\d:\d\d:\d\d`)

func TestFiftyDeploymentsAtOnceMakeOneHistory(t *testing.T) {
	needDocker(t)
	k := newStack(t, newServer(t), alone)
	const clients = 50
	results := make([]result, clients)
	var all sync.WaitGroup
	for i := range clients {
		args := []string{"deploy", "-p", k.name}
		if i%4 == 0 {
			args = append(args, "--wait-lock", "4m")
		}
		all.Go(func() {
			results[i] = k.s.rhumbEnv(k.dir, []string{fmt.Sprintf("PORT=%d", k.port), fmt.Sprintf("V=%d", i+1)}, args...)
		})
	}
	all.Wait()
	deployed := 0
	for i, r := range results {
		switch {
		case r.code == 0:
			deployed++
		case i%4 == 0:
			t.Errorf("client %d, which waits, exits with %d:\n%s", i, r.code, r.out)
		case r.code != 1 || !refusal.MatchString(r.out):
			t.Errorf("client %d exits with %d, without saying who deploys and since when:\n%s", i, r.code, r.out)
		}
	}
	t.Logf("%d of %d deployed, the others were refused", deployed, clients)
	k.settled(resumeLimit)
	last := k.history(deployed)
	serves := ""
	for i, r := range results {
		if r.code == 0 && regexp.MustCompile(fmt.Sprintf(`converged: %s@%d serves`, k.name, last)).MatchString(r.out) {
			serves = fmt.Sprintf(`"Release":"%d"`, i+1)
		}
	}
	k.says(k.url("/"), serves)
}

// history checks that so many deployments followed each other, each starting from the release of the one before. It
// returns the last.
func (k *stack) history(count int) (last int) {
	k.t.Helper()
	c := k.s.dialled()
	defer c.Close()
	list, err := c.Deployments(k.t.Context(), k.name, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	if len(list) != count {
		k.t.Errorf("the history has %d deployments, %d clients were told that theirs converged", len(list), count)
	}
	var before rhumb.Deployment
	for i := len(list) - 1; i >= 0; i-- {
		d := list[i]
		if d.Phase != rhumb.PhaseConverged || d.From != before.To || d.To != before.To+1 || d.Started.Before(before.Ended) {
			k.t.Errorf("after %d to %d (until %s) comes %d to %d (%s, since %s)", before.From, before.To, before.Ended, d.From,
				d.To, d.Phase, d.Started)
		}
		before = d
	}
	return before.To
}
