package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

const withFiles = `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: "${RELEASE}"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    volumes: ["./app.conf:/etc/app.conf:ro"]
    secrets: [{source: token, target: token, mode: 0400}]
secrets:
  token: {file: ./token.txt}
`

func TestARollbackBringsBackTheSecretAndTheBoundFile(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), withFiles)
	file := func(path string) string { return k.url("/file?path=" + url.QueryEscape(path)) }
	for v := 1; v <= 3; v++ {
		k.env = []string{fmt.Sprintf("RELEASE=%d", v)}
		k.write("app.conf", fmt.Sprintf("conf of %d", v))
		k.write("token.txt", fmt.Sprintf("hunter-%d-secret", v))
		k.must(0, "deploy")
		k.says(file("/etc/app.conf"), fmt.Sprintf("conf of %d", v))
		k.says(file("/run/secrets/token"), fmt.Sprintf("hunter-%d-secret", v))
	}
	k.settles(1)
	for _, name := range k.containers() {
		if strings.Contains(docker(t, "inspect", name), "hunter") {
			t.Error("docker inspect shows the secret")
		}
	}
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 50})
	for _, to := range []int{1, 3, 2} {
		k.must(0, "rollback", fmt.Sprint(to))
		k.says(k.url("/"), fmt.Sprintf(`"Release":"%d"`, to))
		k.says(file("/etc/app.conf"), fmt.Sprintf("conf of %d", to))
		k.says(file("/run/secrets/token"), fmt.Sprintf("hunter-%d-secret", to))
	}
	if y := l.end(); y.failed > 0 {
		t.Errorf("meanwhile: %v", y)
	}
	if out := k.must(0, "releases"); strings.Contains(out, "hunter") {
		t.Errorf("rhumb releases shows the secret:\n%s", out)
	}
}

// unnamed is a PostgreSQL whose data lies in a volume that only its image declares.
const unnamed = `
services:
  api:
    build: ./api
    environment: {DB_HOST: db, APP_VERSION: "${VERSION}"}
    secrets: [db_password]
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
  migrate:
    build: ./api
    command: python3 migrate.py
    environment: {DB_HOST: db}
    secrets: [db_password]
    depends_on: {db: {condition: service_healthy}}
  db:
    build: ./db
    environment: {RELEASE: "${VERSION}"}
    secrets: [db_password]
    stop_signal: SIGINT
    healthcheck: {test: [CMD, pg_isready, --quiet, --host, 127.0.0.1, --username, guestbook], interval: 1s, start_period: 20s}
secrets:
  db_password: {file: ./secrets/db_password.txt}
`

func TestRowsAreKeptWithoutANamedVolume(t *testing.T) {
	t.Parallel()
	needDocker(t)
	g := newGuestbook(t, newServer(t))
	g.write("compose.yaml", unnamed)
	deploy := func(version, code int) {
		t.Helper()
		g.env = []string{fmt.Sprintf("VERSION=%d", version)}
		g.must(code, "deploy")
	}
	deploy(1, 0)
	g.leave(g.url("/api/messages"), "kept")
	deploy(2, 0) // db is replaced
	g.says(g.url("/api/messages"), "kept")
	g.leave(g.url("/api/messages"), "kept too")
	g.must(0, "rollback", "1")
	g.says(g.url("/api/messages"), "kept too")

	broken := strings.Replace(unnamed, "stop_signal: SIGINT", "stop_signal: SIGINT\n    command: [sh, -c, 'sleep 1; "+
		"exit 3']", 1)
	g.write("compose.yaml", broken)
	deploy(3, 3)
	g.says(g.url("/api/messages"), "kept too")

	g.write("compose.yaml", unnamed)
	g.must(0, "down")
	deploy(4, 0)
	g.says(g.url("/api/messages"), "kept too")
}
