package e2e

import (
	"strings"
	"testing"
	"time"
)

// impatient is a server that ends when its database doesn't accept connections yet. Nothing says when that does.
const impatient = `
services:
  db:
    image: rhumb-test/app:1
    command: [initialise]
    environment: {ADDR: none, TCP: ":5432", START_DELAY: "${DELAY}"}
    stop_grace_period: 1s
  server:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", NEEDS: "db:5432"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    depends_on: [db]
    deploy: {restart_policy: {condition: any}}
    x-rhumb: {ready: {timeout: "${TIMEOUT}"}}
`

func TestAFirstDeploymentBearsExitsUntilItsTimeIsUp(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	for _, c := range []struct {
		name string
		env  []string
		code int
		says []string
	}{
		{"the database comes", []string{"V=one", "DELAY=6s", "TIMEOUT=20s"}, 0,
			[]string{"converged", "server had ended", "before it was ready"}},
		{"the database never comes", []string{"V=one", "DELAY=300s", "TIMEOUT=4s"}, 3,
			[]string{"exited with 1", "connection to db:5432 failed",
				"db may not have been ready: nothing checks it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newStack(t, s, impatient)
			k.env = c.env
			start := time.Now()
			out := k.must(c.code, "deploy")
			t.Logf("after %.1f s:\n%s", time.Since(start).Seconds(), out)
			for _, want := range c.says {
				if !strings.Contains(out, want) {
					t.Errorf("want %q in:\n%s", want, out)
				}
			}
			if c.code == 0 {
				k.says(k.url("/"), "one")
			}
		})
	}
}
