package compose

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// again loads the printed form of a project, from its own folder and from another one.
func again(t *testing.T, o Options, p *Project) {
	t.Helper()
	q := againFrom(t, p.Dir, o, p)
	if diff := cmp.Diff(withoutPlaces(p.Stack), withoutPlaces(q.Stack)); diff != "" {
		t.Errorf("the stack of what was printed (-first +second):\n%s", diff)
	}
	againFrom(t, t.TempDir(), o, p)
}

func againFrom(t *testing.T, dir string, o Options, p *Project) *Project {
	t.Helper()
	q, err := Load(t.Context(),
		Options{Dir: dir, Files: []string{"-"}, Stdin: bytes.NewReader(p.Resolved), Environ: o.Environ})
	if err != nil {
		t.Fatalf("what was printed can't be read: %v\n%s", err, p.Resolved)
	}
	if diff := cmp.Diff(string(p.Resolved), string(q.Resolved)); diff != "" {
		t.Errorf("printed, read and printed again in %s (-first +second):\n%s", dir, diff)
	}
	return q
}

func withoutPlaces(s rhumb.Stack) rhumb.Stack {
	s.Notes = nil
	return s
}

func TestThePrintedFormLoadsAsTheSameStack(t *testing.T) {
	t.Parallel()
	cases := map[string]Options{
		"guestbook":    {Dir: "testdata/guestbook", Environ: []string{"TOKEN=a$b"}},
		"long":         {Dir: "testdata/long", Environ: []string{"CFG=x=1"}},
		"environments": {Dir: "testdata/environments", Env: "production"},
		"merge":        {Dir: "testdata/merge", Files: []string{"compose.yaml", "second.yaml"}},
		"profiles":     {Dir: "testdata/profiles", Profiles: []string{"debug"}, AllowUnset: true},
	}
	for name, tc := range stacks {
		if len(tc.refused) == 0 {
			tc.opts.Dir = filepath.Join("testdata", "stacks", tc.folder)
			cases[name] = tc.opts
		}
	}
	for name, files := range printed {
		dir := t.TempDir()
		for file, content := range files {
			write(t, dir, file, content)
		}
		cases[name] = Options{Dir: dir, Environ: []string{"WORD=a$b", "HOME=/root"}, AllowUnset: true, Name: "s"}
	}
	for name, o := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Load(t.Context(), o)
			if err != nil {
				t.Fatal(told(err))
			}
			again(t, o, p)
		})
	}
}

func TestAnyTextSurvivesPrintingAndReading(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	letters := []rune("$${}:-?+ab 019 \n\n\t\r'\"#%@&*!|>~[]\\,éß\u2028\u0085\u00a0\ufeff\u0007\U0001F600")
	environ := []string{"a=1", "b=$"}
	for range 30 {
		env, command := map[string]string{}, []string{}
		for i := range 20 {
			text := make([]rune, r.IntN(12))
			for j := range text {
				text[j] = letters[r.IntN(len(letters))]
			}
			env[fmt.Sprintf("V%d", i)] = string(text)
			command = append(command, string(text))
		}
		p := &types.Project{Name: "s",
			Services: types.Services{"web": {Name: "web", ContainerSpec: types.ContainerSpec{Image: "x", Command: command,
				Environment: types.Mapping(env).ToMappingWithEquals()}}}}
		b, err := resolved(p, "/", func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		q, err := Load(t.Context(),
			Options{Dir: t.TempDir(), Files: []string{"-"}, Stdin: bytes.NewReader(b), Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(env, container(q, "web").Env); diff != "" {
			t.Errorf("variables (-printed +read):\n%s", diff)
		}
		if diff := cmp.Diff(command, container(q, "web").Command); diff != "" {
			t.Errorf("command (-printed +read):\n%s", diff)
		}
	}
}

func TestEveryKeySurvivesPrintingAndReading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "file", "x")
	write(t, dir, "Dockerfile", "FROM scratch\n")
	loaded := 0
	for id, text := range fates {
		yaml, _ := caseFile(text)
		write(t, dir, "compose.yaml", yaml)
		p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
		if err != nil {
			continue // refused
		}
		loaded++
		t.Run(id, func(t *testing.T) { again(t, Options{}, p) })
	}
	if loaded < 10 {
		t.Errorf("only %d cases could be loaded", loaded)
	}
}

func TestThePrintedFormFindsTheCertificates(t *testing.T) {
	dir := t.TempDir()
	pairFor(t, dir, "shop.example.com", time.Hour)
	p, err := loadTLS(t, dir, "shop.example.com", "{cert: shop.crt, key: shop.key}")
	if err != nil {
		t.Fatal(err)
	}
	again(t, Options{}, p)
}

// printed are stacks, file by file, whose printed form easily becomes another stack.
var printed = map[string]map[string]string{
	"hooks": {"app.conf": "x", "compose.yaml": hooked},
	"dollars": {".env": "FILED='c$d'\n", "web.env": "ENVFILE='e$f$$'\n", "labels": "labelled='$1'\n",
		"$conf/a$b.conf": "x", "compose.yaml": `
x-top: {$key: "$$value", list: ["$$", "$${a:-b}"]}
services:
  web:
    image: x:${WORD:-}${FILED}
    command: echo $$HOME costs 5$$ $${A:-$$B} $1
    entrypoint: ["sh", "-c", "$$0 $$$$"]
    environment: {"$KEY": "$$value", FILE: "$WORD$FILED", EMPTY: "$UNSET"}
    env_file: web.env
    label_file: labels
    labels: {"a.$$b": "$${c}", auth: "u:$$apr1$$x$$y/"}
    healthcheck: {test: "pg_isready -U $${USER:-postgres}"}
    volumes: ["./$$conf/a$$b.conf:/etc/a$$b:ro", "data:/d$$", "./$$conf:/conf"]
    configs: [{source: c, target: "/c$$"}]
    secrets: [s]
    extra_hosts: ["a$$b:10.0.0.1"]
    sysctls: {a: "$$b"}
    tmpfs: ["/t$$"]
    working_dir: /$$w
    networks: {n: {aliases: ["a$$b"]}}
    build: {context: "$$conf", dockerfile_inline: "RUN echo $$HOME $${A:-b}\n", args: {A: "$$b"}, labels: {a: "$$b"}}
    logging: {options: {tag: "$$x"}}
    x-rhumb: {after: {command: "test $$A = $$$$B"}}
    x-own: [{"$a": "$$b"}]
    post_start: [{command: "echo $$X", environment: {A: "$$b"}}]
    pre_start: [{command: ["$$A"], environment: {B: "$$c"}}]
configs: {c: {content: "a $$ b $${c} $WORD\n"}}
secrets: {s: {environment: WORD}}
networks: {n: {labels: {a: "$$b"}, driver_opts: {o: "$$p"}}}
volumes: {data: {driver_opts: {o: "$$p", device: "$$d", type: none}}}
`},
	"paths": {"sub/web.env": "A=1\n", "sub/seccomp.json": "{}", "sub/app.conf": "x", "sub/Dockerfile": "FROM x\n",
		"compose.yaml": `
include: [sub/part.yaml]
services:
  web: {extends: {file: sub/base.yaml, service: base}, security_opt: ["seccomp:./sub/seccomp.json", "apparmor=unconfined"]}
`, "sub/base.yaml": `services: {base: {build: ., image: x, volumes: ["./app.conf:/a:ro", "./new:/b", "~/c:/c"]}}`,
		"sub/part.yaml": `
services: {part: {image: y, env_file: web.env, configs: [c]}}
configs: {c: {file: app.conf}}
`},
	"profiles of its own": {".env": "COMPOSE_PROFILES=on\n", "compose.yaml": `
services:
  web: {image: x, profiles: [on], depends_on: {off: {condition: service_started, required: false}, db: {condition: service_healthy}}, links: ["db:data"]}
  off: {image: y, profiles: [off]}
  db: {image: z, scale: 0, healthcheck: {disable: true}}
`},
	"names": {"compose.yaml": `
services:
  web: {image: x, command: [], entrypoint: [], networks: [a, b], volumes: ["vol:/v", "wol:/w"], configs: [c, nothing], secrets: [s], environment: [WORD, NOWHERE, E=]}
networks: {a: {external: true, name: "${WORD}"}, b: {external: {name: there}}, unused: {}}
volumes: {vol: {external: true}, wol: {name: "fixed$$"}}
configs: {c: {external: true, name: kept}, nothing: {content: ""}}
secrets: {s: {external: true}}
`},
	"logs": {".env": "DAYS=7\n", "compose.yaml": `
services:
  web: {image: x, ports: [{target: 80, app_protocol: http}], x-rhumb: {access_log: true}}
x-rhumb: {logs: {keep: "${DAYS}d", size: 16777216}}
`},
	"text": {"compose.yaml": `
services:
  web:
    image: x
    environment: {A: "yes", B: "0x10", C: "1e3", D: " lead", E: "tail ", F: "a\nb\n\n", G: "\ttab", H: "~", I: "null", J: "2020-01-01",
      K: "<<", L: "é\u2028\u0085\x07", M: "a: b", N: "- c", O: "#", P: "'", Q: "1_000", R: "\r\n", S: "=", T: ".inf", U: "0o7", V: "12:30:45"}
    labels: {y: "on", z: "x", "1": "y", "true": "z"}
    command: ["-c", "", "  ", "a\n  b", "%", "@", "|", "\n", "a\n", "\n a"]
    mem_swappiness: 0
    pre_start: [{command: [x], mem_swappiness: 0}]
`},
}
