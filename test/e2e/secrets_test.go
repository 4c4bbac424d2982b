package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// everySecret has each kind of secret once, and what is treated like one.
const everySecret = `
services:
  app:
    build: {context: ./site, secrets: [build_token]}
    environment: {RELEASE: "${RELEASE}", TOKEN: "${APP_TOKEN}", ADDR: "${ADDR:-}", EXIT_AFTER: "${EXIT_AFTER:-}"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    volumes: ["./app.conf:/etc/app.conf:ro"]
    secrets:
      - {source: from_file, target: from_file, uid: "1234", gid: "2345", mode: 0440}
      - from_environment
      - kept
    configs: [inline]
    x-rhumb: {routes: [{host: shop.example.com, port: 8000}], tls: {cert: shop.crt, key: shop.key}}
secrets:
  from_file: {file: ./token.txt}
  from_environment: {environment: SECRET_TOKEN}
  kept: {external: true, name: "${NAME}-kept"}
  build_token: {environment: BUILD_TOKEN}
configs:
  inline: {content: "${INLINE}"}
`

const tokenDockerfile = `FROM debian:12-slim AS built
RUN --mount=type=secret,id=build_token echo %s && wc -c </run/secrets/build_token >/size
FROM rhumb-test/app:1
COPY --from=built /size /size
`

// vaultStack is a stack full of canaries.
type vaultStack struct {
	*stack
	*aviary
	t      *testing.T
	wire   *wiretap
	start  time.Time
	fixed  []string // of env: what doesn't change from release to release
	serves bool     // it has containers
}

func newVaultStack(t *testing.T) *vaultStack {
	t.Helper()
	s := newTLSServer(t)
	wire := tap(t, s)
	v := &vaultStack{stack: newStack(t, s, everySecret), aviary: &aviary{t: t}, wire: wire, start: time.Now(), t: t}
	v.fixed = []string{
		"RHUMB_HOST=unix://" + wire.path, "DOCKER_CONFIG=" + v.dockerConfig(),
		"SECRET_TOKEN=" + v.canary("the secret from a variable"), "BUILD_TOKEN=" + v.canary("the build's secret"),
	}
	v.write("site/Dockerfile", fmt.Sprintf(tokenDockerfile, v.name))
	v.write("kept.txt", v.canary("the value that the server keeps"))
	cert, key := givenPair(t, "shop.example.com")
	v.write("shop.crt", string(cert))
	v.write("shop.key", string(key))
	v.key("the given certificate's key", numberOf(t, key))
	v.env = v.fixed
	return v
}

// dockerConfig makes the user's Docker configuration, with credentials for a registry that is needed and one that
// isn't.
func (v *vaultStack) dockerConfig() string {
	auth := func(what string) any {
		return map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("username:" + v.canary(what)))}
	}
	b, err := json.Marshal(map[string]any{"auths": map[string]any{
		"registry.example.com": auth("the unneeded registry's password"),
		"127.0.0.1:1":          auth("the needed registry's password"),
	}})
	if err != nil {
		v.t.Fatal(err)
	}
	dir := v.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o600); err != nil {
		v.t.Fatal(err)
	}
	return dir
}

// release puts new canaries everywhere and says what the next deployment deploys.
func (v *vaultStack) release(name string, env ...string) {
	v.write("token.txt", v.canary("the secret from a file, "+name))
	v.write("app.conf", v.canary("the bound file, "+name))
	v.write(".env", "APP_TOKEN="+v.variable("the variable from .env, "+name)+"\n")
	v.env = append(append(slices.Clone(v.fixed), "RELEASE="+name, "INLINE="+v.canary("the inline config, "+name)), env...)
}

// run runs a command that has to end with a code, and looks at what it prints and at what there is afterwards.
func (v *vaultStack) run(code int, verb string, args ...string) string {
	v.t.Helper()
	out := v.must(code, verb, args...)
	v.none("rhumb "+verb+" "+strings.Join(args, " "), []byte(out))
	v.serves = verb != "down"
	v.inContainers()
	v.onTheHost()
	return out
}

func TestASecretIsOnlyInItsContainersOwnFile(t *testing.T) {
	t.Parallel()
	needDocker(t)
	v := newVaultStack(t)
	v.release("one")
	if r := v.s.rhumbEnv(v.dir, v.env, "secret", "create", v.name+"-kept", "kept.txt"); r.code != 0 {
		t.Fatalf("rhumb secret create exits with %d: %s", r.code, r.out)
	}
	v.run(0, "deploy")
	v.release("two")
	v.run(0, "plan", "--format", "json")
	v.run(0, "deploy", "--dry-run")
	v.run(0, "deploy", "--format", "json")
	v.release("three", "ADDR=none", "EXIT_AFTER=200ms")
	t.Log(v.run(3, "deploy"))
	v.write("compose.yaml",
		strings.Replace(everySecret, "services:", "services:\n  other: {image: '127.0.0.1:1/absent:1'}", 1))
	t.Log(v.run(1, "deploy"))
	v.run(0, "run", "-e", "GIVEN="+v.canary("a variable of rhumb run"), "app", "exit", "0")
	v.run(0, "exec", "-e", "GIVEN="+v.canary("a variable of rhumb exec"), "app", "/app", "check", "http://127.0.0.1:8000/health")
	v.run(0, "rollback", "1")
	v.where("one")
	v.s.must(0, "ca")
	v.sealed("given", "internal")
	v.answers()
	v.backedUp()
	v.everywhere()
	v.run(0, "down")
	v.gone()
	v.everywhere()
	v.onTheWire()
}

// answers searches everything that a server answers.
func (v *vaultStack) answers() {
	v.t.Helper()
	for _, command := range []string{
		"ps", "logs", "events", "releases", "releases diff 1 2", "routes", "stacks", "secret ls", "plan", "ps --format json",
		"logs --format json",
		"events --format json", "releases --format json", "releases diff --format json 1 2", "routes --format json",
		"stacks --format json",
		"certs", "certs --format json", "ca",
	} {
		env := append([]string{fmt.Sprintf("PORT=%d", v.port), "NAME=" + v.name}, v.env...)
		r := v.s.rhumbEnv(v.dir, env, append([]string{"-p", v.name}, strings.Fields(command)...)...)
		if r.code != 0 {
			v.t.Errorf("rhumb %s exits with %d: %s", command, r.code, r.out)
		}
		v.none("rhumb "+command, []byte(r.out))
	}
	v.api()
}

// api asks the API for all that its own description says can be asked for.
func (v *vaultStack) api() {
	v.t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", v.s.socket)
		},
	}}
	ask := func(path string) (int, []byte) {
		resp, err := client.Get("http://rhumb" + path)
		if err != nil {
			v.t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			v.t.Errorf("GET %s: %v", path, err)
		}
		v.none("GET "+path, b)
		return resp.StatusCode, b
	}
	_, b := ask("/openapi.json")
	var description struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(b, &description); err != nil {
		v.t.Fatal(err)
	}
	answered := 0
	for path, methods := range description.Paths {
		if methods["get"] == nil {
			continue
		}
		path = strings.NewReplacer("{stack}", v.name, "{service}", "app", "{id}", "1", "{name}",
			v.name+"-kept").Replace(path) + "?a=1&b=2"
		if code, _ := ask(path); code == http.StatusOK {
			answered++
		} else {
			v.t.Logf("GET %s: %d", path, code)
		}
	}
	if answered < 9 {
		v.t.Errorf("only %d paths of the API answer", answered)
	}
}

// inContainers looks at what the engine shows of the stack's containers.
func (v *vaultStack) inContainers() {
	v.t.Helper()
	seen := 0
	for _, name := range v.containers() {
		logs, err := exec.Command("docker", "logs", name).CombinedOutput()
		v.none("docker logs "+name, logs)
		inspected, gone := exec.Command("docker", "container", "inspect", name).Output()
		if err != nil || gone != nil {
			continue // it drained, and is being removed
		}
		var shown []map[string]any
		if err := json.Unmarshal(inspected, &shown); err != nil || len(shown) != 1 {
			v.t.Fatalf("docker inspect %s: %v", name, err)
		}
		seen++
		config := shown[0]["Config"].(map[string]any)
		env := fmt.Sprint(config["Env"])
		v.variables("the environment of "+name, []byte(env))
		if !v.hasVariable(env) {
			v.t.Errorf("the environment of %s lacks its variable, so this test would see nothing: %s", name, env)
		}
		delete(config, "Env")
		v.none("docker inspect "+name, []byte(fmt.Sprint(shown)))
	}
	if seen == 0 && v.serves {
		v.t.Error("no container could be looked at")
	}
}

// onTheHost looks at what any process of the host can see of the others, and at the environments of our own.
func (v *vaultStack) onTheHost() {
	v.t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		v.t.Fatal(err)
	}
	for _, pid := range v.s.processes() {
		lines = append(lines, fmt.Sprintf("/proc/%d/environ", pid))
	}
	for _, path := range lines {
		b, _ := os.ReadFile(path) // processes end
		v.none(path, b)
	}
}

func (v *vaultStack) hasVariable(env string) bool {
	return slices.ContainsFunc(v.all, func(c *canary) bool { return c.env && c.in([]byte(env)) })
}

// everywhere looks into all that rhumb and the engine keep.
func (v *vaultStack) everywhere() {
	v.t.Helper()
	for line := range strings.Lines(docker(v.t, "image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")) {
		name, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(name, v.name) {
			continue
		}
		v.none("docker image inspect "+name, []byte(docker(v.t, "image", "inspect", id)))
		v.none("docker history "+name, []byte(docker(v.t, "history", "--no-trunc", id)))
		v.none("the layers of "+name, []byte(docker(v.t, "save", id)))
	}
	events := []string{"events", "--since", fmt.Sprint(v.start.Unix()), "--until", fmt.Sprint(time.Now().Unix())}
	v.none("docker events", []byte(docker(v.t, append(events, "--format", "{{json .}}")...)))
	if n := v.folder(v.s.data, time.Time{}); n < 4 {
		v.t.Errorf("the data folder has only %d files", n)
	}
	v.folder(v.s.logPath(), time.Time{})
	for _, pattern := range []string{os.TempDir() + "/*rhumb*", "/var/tmp/*rhumb*", "/dev/shm/*rhumb*", "/run/rhumb/[^f]*",
		"/run/*rhumb*.*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			v.t.Fatal(err)
		}
		for _, path := range paths {
			v.folder(path, v.start)
		}
	}
}

// where checks that each secret of the release that serves is in its own file, in memory, and that there are no
// others.
func (v *vaultStack) where(release string) {
	v.t.Helper()
	own := map[string]string{
		"the secret from a file, " + release: "/run/secrets/from_file",
		"the secret from a variable":         "/run/secrets/from_environment",
		"the value that the server keeps":    "/run/secrets/kept", "the inline config, " + release: "/inline",
		"the bound file, " + release: "/etc/app.conf",
	}
	eventually(v.t, 10*time.Second, "no other contents are kept", func() error {
		for path, content := range kept(v.t) {
			for _, what := range v.in([]byte(content)) {
				if own[what] == "" {
					return fmt.Errorf("%s holds %s", path, what)
				}
			}
		}
		return nil
	})
	for _, c := range v.all {
		target := own[c.what]
		if target == "" {
			continue
		}
		delete(own, c.what)
		v.says(v.url("/file?path="+url.QueryEscape(target)), c.text)
		v.owned(c)
	}
	if len(own) > 0 {
		v.t.Errorf("the test knows no canaries for %v", own)
	}
}

// owned checks where a secret's file is and whose.
func (v *vaultStack) owned(c *canary) {
	v.t.Helper()
	var at []string
	for path, content := range kept(v.t) {
		if content == c.text {
			at = append(at, path)
		}
	}
	if len(at) != 1 {
		v.t.Errorf("%s is kept in %v, want one place", c.what, at)
		return
	}
	var disk syscall.Statfs_t
	var file syscall.Stat_t
	if err := syscall.Statfs(at[0], &disk); err != nil || disk.Type != 0x01021994 {
		v.t.Errorf("%s is not kept in memory: the file system's type is %#x (%v)", c.what, disk.Type, err)
	}
	if err := syscall.Stat(at[0], &file); err != nil {
		v.t.Error(err)
	}
	asked := strings.HasPrefix(c.what, "the secret from a file")
	if asked && (file.Uid != 1234 || file.Gid != 2345 || file.Mode&0o7777 != 0o440) {
		v.t.Errorf("%s belongs to %d:%d with mode %o, want 1234:2345 with 440", c.what, file.Uid, file.Gid, file.Mode&0o7777)
	}
}

// gone waits until nothing of the stack is kept in memory.
func (v *vaultStack) gone() {
	v.t.Helper()
	eventually(v.t, 10*time.Second, "the contents go with the stack", func() error {
		for path, content := range kept(v.t) {
			if found := v.in([]byte(content)); found != nil {
				return fmt.Errorf("%s holds %v", path, found)
			}
		}
		return nil
	})
}

// onTheWire checks that the client sent what the server needs, and no more.
func (v *vaultStack) onTheWire() {
	v.t.Helper()
	sent := v.in(v.wire.seen())
	for _, needed := range []string{
		"the secret from a file, one", "the secret from a variable", "the value that the server keeps",
		"the inline config, two",
		"the bound file, three", "the variable from .env, one", "the needed registry's password",
		"the given certificate's key",
	} {
		if !slices.Contains(sent, needed) {
			v.t.Errorf("the client doesn't send %s, or this test is blind", needed)
		}
	}
	if slices.Contains(sent, "the unneeded registry's password") {
		v.t.Error("the client sends credentials for a registry that no image needs")
	}
}
