package build

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
)

func TestAMultiStageBuildTakesTargetArgsLabelsAndTags(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"app.txt": "hello", "Dockerfile": `FROM ` + base + ` AS tools
ARG GREETING=none
COPY app.txt /app.txt
RUN echo "$GREETING from the build ` + w.stack + `" && cp /app.txt /made.txt
FROM scratch AS slim
COPY --from=tools /made.txt /made.txt
VOLUME /data
EXPOSE 80
FROM scratch AS other
COPY missing /
`})
	r := w.request("web")
	r.Build.Target, r.Build.Args, r.Build.Labels = "slim", map[string]string{"GREETING": "good morning, \"all\""},
		map[string]string{"a.b": "c=d, e"}
	r.Build.Tags = []string{w.stack + "-extra:1"}
	img, news := w.must(w.build(dir, r))
	i := w.inspect(r.Name)
	if img.ID != i.ID || img.Ref != r.Name || !img.Pulled || w.inspect(r.Build.Tags[0]).ID != i.ID {
		t.Fatalf("got %+v, the engine has %s", img, i.ID)
	}
	if i.Config.Labels["a.b"] != "c=d, e" {
		t.Fatalf("labels: %v", i.Config.Labels)
	}
	if out := outputs(news); !strings.Contains(out, `good morning, "all" from the build`) {
		t.Fatalf("output: %q", out)
	}
	ran := func(p rhumb.BuildProgress) bool {
		return p.Done && !p.Cached && strings.Contains(p.Step, "RUN echo") && p.Service == "web"
	}
	if !slices.ContainsFunc(news, ran) {
		t.Fatalf("no step is reported as done: %+v", news)
	}
	if !bytes.Contains(w.content(r.Name), []byte("made.txt")) {
		t.Fatal("the file isn't in the image")
	}
}

func TestASecretIsThereDuringTheBuildAndNotInTheImage(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"Dockerfile": "FROM " + base +
		" AS b\nRUN --mount=type=secret,id=tok wc -c /run/secrets/tok && echo " + w.stack +
		" > /x\nFROM scratch\nCOPY --from=b /x /x\n"})
	r := w.request("web")
	r.Secrets = map[string][]byte{"tok": []byte("canary-secret-value")}
	_, news := w.must(w.build(dir, r))
	if out := outputs(news); !strings.Contains(out, "19 /run/secrets/tok") {
		t.Fatalf("output: %q", out)
	}
	if bytes.Contains(w.content(r.Name), []byte("canary")) {
		t.Fatal("the secret is in the image")
	}
}

func TestAFailingRunShowsItsLineAndItsLastOutput(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"docker/web.df": "FROM " + base +
		"\n\n# a remark\nRUN seq 1 40 >&2 && \\\n    echo 'it is broken' >&2 && \\\n    exit 7\n"})
	r := w.request("web")
	r.Build.Dockerfile = "docker/web.df"
	_, _, err := w.build(dir, r)
	if rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Fatalf("got %v", err)
	}
	want := "web/docker/web.df:4: RUN seq 1 40 >&2 && echo 'it is broken' >&2 && exit 7: exit code 7\n  | 22\n"
	if !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "\n  | 40\n  | it is broken") {
		t.Fatalf("got:\n%v", err)
	}
}

func TestMistakesInADockerfileAreNamedWithTheirLine(t *testing.T) {
	w := newWorkshop(t)
	for name, c := range map[string]struct {
		dockerfile, want string
		code             rhumb.Code
	}{
		"instruction": {"FROM " + base + "\nRUMBA x\n", "web/Dockerfile:2: …unknown instruction: RUMBA", rhumb.Invalid},
		"copy": {"FROM scratch\nLABEL a=b\nCOPY none /\n", "web/Dockerfile:3: COPY none /: …not found",
			rhumb.Invalid},
		"empty": {"", "Dockerfile cannot be empty", rhumb.Invalid},
		"run in a stage": {"FROM " + base + " AS one\nRUN true\nFROM one\nWORKDIR /x\n\nRUN [\"false\"]\n",
			"web/Dockerfile:6: RUN [\"false\"]: exit code 1", rhumb.Invalid},
		"with an arg": {"ARG C=4\nFROM " + base + " AS one\nARG D=5\nENV E=1\nRUN true\nRUN exit $D\n",
			"web/Dockerfile:6: RUN exit $D: exit code 5", rhumb.Invalid},
		"copy from": {"FROM scratch\nCOPY --from=127.0.0.1:1/none:here /a /\n",
			"web/Dockerfile:2: COPY --from=127.0.0.1:1/none:here /a /: …failed to do request", rhumb.Unavailable},
		"from an arg": {"ARG TAG\nFROM 127.0.0.1:1/none:${TAG:-7}\n",
			"web/Dockerfile:2: FROM 127.0.0.1:1/none:${TAG:-7}: …failed to do request", rhumb.Unavailable},
		"a mount": {"FROM " + base + "\nRUN --mount=from=127.0.0.1:1/none:2,target=/x true\n",
			"web/Dockerfile:2: RUN --mount=from=127.0.0.1:1/none:2,target=/x true: …failed to do request", rhumb.Unavailable},
		"fetched": {"FROM scratch\nADD http://127.0.0.1:1/x /x\n", "web/Dockerfile:2: ADD http://127.0.0.1:1/x /x: ",
			rhumb.Invalid},
		"no stage": {"FROM scratch\nCOPY --from=9 / /\n", "web/Dockerfile:2: COPY --from=9 / /: invalid stage index 9",
			rhumb.Invalid},
		"blank base": {"FROM ${NOPE}\n", "web/Dockerfile:1: FROM ${NOPE}: base name (${NOPE}) should not be blank",
			rhumb.Invalid},
		"no frontend": {"# syntax=127.0.0.1:1/docker/dockerfile:1.4\nFROM scratch\n",
			"web/Dockerfile:1: # syntax=127.0.0.1:1/docker/dockerfile:1.4: …failed to do request", rhumb.Unavailable},
		"image": {"FROM scratch AS a\nFROM 127.0.0.1:1/none:1\nCOPY --from=a / /\n",
			"web/Dockerfile:2: FROM 127.0.0.1:1/none:1: …failed to do request", rhumb.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := w.build(tree(t, map[string]string{"Dockerfile": c.dockerfile, "other": "x"}), w.request("web"))
			place, what, _ := strings.Cut(c.want, "…") // between the two, newer engines name the image and the instruction
			if rhumb.ErrorCode(err) != c.code || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), what) {
				t.Fatalf("got %q: %v", rhumb.ErrorCode(err), err)
			}
			t.Log(err)
		})
	}
}

func TestAMissingOrEscapingDockerfileIsRefused(t *testing.T) {
	w := newWorkshop(t)
	for name, files := range map[string]map[string]string{
		"missing": {"a": ""}, "leads out": {"Dockerfile": "-> /etc/passwd"},
		"leads out by dots": {"Dockerfile": "-> ../../../etc/passwd"},
	} {
		_, _, err := w.build(tree(t, files), w.request("web"))
		if rhumb.ErrorCode(err) != rhumb.Invalid || strings.Contains(err.Error(), "root:") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestALinkOutOfTheContextIsCopiedAsALink(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", "hosts": "-> /etc/passwd",
		"folder": "-> /etc"})
	r := w.request("web")
	w.must(w.build(dir, r))
	if bytes.Contains(w.content(r.Name), []byte("root:x:0:0")) {
		t.Fatal("a file of the server is in the image")
	}
	for _, from := range []string{"hosts", "folder/passwd"} {
		dir := tree(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY " + from + " /x\n", "hosts": "-> /etc/passwd",
			"folder": "-> /etc"})
		if _, _, err := w.build(dir, r); err == nil && bytes.Contains(w.content(r.Name), []byte("root:x:0:0")) {
			t.Fatalf("COPY %s: a file of the server is in the image", from)
		}
	}
}

func TestAnInlineAndAnOutsideDockerfileWork(t *testing.T) {
	w := newWorkshop(t)
	r := w.request("inline")
	r.Build.Inline = "FROM scratch\nCOPY *.txt /app/\n"
	w.must(w.build(tree(t, map[string]string{"a.txt": "a", "b.txt": "b", ".dockerignore": "b.txt\n"}), r))
	if c := w.content(r.Name); !bytes.Contains(c, []byte("app/a.txt")) || bytes.Contains(c, []byte("b.txt")) {
		t.Fatal("dockerfile_inline: the image holds something else")
	}
	r.Build.Inline = "FROM scratch\nNOPE\n"
	if _, _, err := w.build(tree(t, map[string]string{"a": ""}), r); !strings.Contains(fmt.Sprint(err),
		"dockerfile_inline:2") {
		t.Fatalf("got %v", err)
	}
	out := w.request("outside")
	out.Build.Dockerfile = "../docker/df"
	dir := tree(t, map[string]string{"app/a.txt": "a", "app/b.txt": "b",
		"docker/df": "FROM scratch\nCOPY *.txt .rhumb* /app/\n", "docker/df.dockerignore": "b.txt"})
	w.must(w.build(filepath.Join(dir, "app"), out))
	if c := w.content(out.Name); !bytes.Contains(c, []byte("app/a.txt")) || bytes.Contains(c, []byte("b.txt")) ||
		bytes.Contains(c, []byte("rhumb.dockerfile")) {
		t.Fatal("a Dockerfile outside: the image holds something else")
	}
}

func TestASecondBuildIsCachedAndAChangeIsSeen(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"a.txt": "one", "salt": w.stack, "big": strings.Repeat("x", 8<<20),
		"Dockerfile": "FROM " + base + "\nCOPY . /app\nRUN cat /app/a.txt\n"})
	r := w.request("web")
	one, _ := w.must(w.build(dir, r))
	start := time.Now()
	two, news := w.must(w.build(dir, r))
	t.Logf("a build without a change took %v", time.Since(start).Round(time.Millisecond))
	if one.ID != two.ID ||
		!slices.ContainsFunc(news,
			func(p rhumb.BuildProgress) bool { return p.Cached && strings.Contains(p.Step, "RUN cat") }) {
		t.Fatalf("%s, then %s; %+v", one.ID, two.ID, news)
	}
	// Same size, same time: only the content differs.
	file := filepath.Join(dir, "a.txt")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("two"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	three, news := w.must(w.build(dir, r))
	if three.ID == one.ID || !strings.Contains(outputs(news), "two") {
		t.Fatal("the change wasn't seen")
	}
	r.Build.NoCache = true
	if _, news := w.must(w.build(dir, r)); !strings.Contains(outputs(news), "two") {
		t.Fatal("no_cache took it from the cache")
	}
}

func TestAnImageThatIsGoneRightAfterItsBuildIsBuiltAgain(t *testing.T) {
	w := newWorkshop(t)
	looks := 0
	w.builder.Inspect = func(ctx context.Context, ref string) (rhumb.Image, error) {
		if looks++; looks == 1 { // another process removes it
			if _, err := w.docker.ImageRemove(ctx, ref, client.ImageRemoveOptions{}); err != nil {
				t.Error(err)
			}
		}
		in, err := w.docker.ImageInspect(ctx, ref)
		if err != nil {
			return rhumb.Image{}, rhumb.Errorf(rhumb.NotFound, "%w", err)
		}
		return rhumb.Image{ID: in.ID}, nil
	}
	dir := tree(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN echo " + w.stack + " > /file\n"})
	img, _ := w.must(w.build(dir, w.request("web")))
	if looks != 2 || img.Ref != w.request("web").Name {
		t.Errorf("%d looks, %+v", looks, img)
	}
}

func TestSeveralBuildsRunAtOnce(t *testing.T) {
	w := newWorkshop(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			service := fmt.Sprintf("s%d", i)
			// The contexts have the same names, sizes and nearly the same times; each image must have its own
			// content.
			dir := tree(t, map[string]string{"who": service, "Dockerfile": "FROM " + base + "\nCOPY who /who\nRUN cat /who # " +
				w.stack + "\n"})
			r := w.request(service)
			img, _, err := w.build(dir, r)
			if err != nil {
				t.Errorf("%s: %v", service, err)
				return
			}
			// Look into the image, not at the output: an engine under load loses some of the output.
			out, err := exec.Command("docker", "run", "--rm", r.Name, "cat", "/who").CombinedOutput()
			if err != nil || string(out) != service || w.inspect(r.Name).ID != img.ID {
				t.Errorf("%s: %q is in it, %v", service, out, err)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for i := range 6 {
		ids[w.inspect(Name(w.stack, fmt.Sprintf("s%d", i), rhumb.Git{}, "1")).ID] = true
	}
	if len(ids) != 6 {
		t.Fatalf("%d images for 6 services", len(ids))
	}
}

func TestNetworkHostsAndPlatformReachTheBuild(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN cat /etc/hosts; cat /proc/net/dev | wc -l\n"})
	for _, network := range []string{"", "none", "host"} {
		r := w.request("web")
		r.Build.Network, r.Build.Platform, r.Build.NoCache = network, "linux/amd64", true
		r.Build.ExtraHosts = []string{"db.example:10.1.2.3", "six=fd00::1"}
		_, news := w.must(w.build(dir, r))
		out := outputs(news)
		t.Logf("network %q:\n%s", network, out)
		if !strings.Contains(out, "10.1.2.3\tdb.example") || !strings.Contains(out, "fd00::1\tsix") {
			t.Errorf("network %q: hosts: %q", network, out)
		}
	}
}

func TestLimitsReachTheBuildWhereTheEngineKnowsThem(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN ulimit -n; df -k /dev/shm | tail -n 1\n"})
	r := w.request("web")
	r.Build.NoCache, r.Build.ShmSize = true, 32<<20
	r.Build.Ulimits = []rhumb.Ulimit{{Name: "nofile", Soft: 321, Hard: 400}}
	img, news, err := w.build(dir, r)
	if !(rhumb.EngineInfo{APIVersion: w.docker.ClientVersion()}).Speaks("1.42") {
		if rhumb.ErrorCode(err) != rhumb.Unsupported ||
			!strings.Contains(err.Error(), "build.shm_size needs Docker Engine 23") {
			t.Errorf("an old engine: %v", err)
		}
		return
	}
	w.must(img, news, err)
	if out := outputs(news); !strings.Contains(out, "321") || !strings.Contains(out, "32768") {
		t.Errorf("in the build: %s", out)
	}
}

func TestUnsupportedOptionsAreRefused(t *testing.T) {
	b := New(nil, slog.New(slog.DiscardHandler))
	for want, change := range map[string]func(*rhumb.BuildRequest){
		"BUILDKIT_INLINE_CACHE": func(r *rhumb.BuildRequest) {
			r.Build.Args = map[string]string{"BUILDKIT_INLINE_CACHE": "1"}
		},
		"host-gateway":         func(r *rhumb.BuildRequest) { r.Build.ExtraHosts = []string{"a:host-gateway"} },
		"must be name:address": func(r *rhumb.BuildRequest) { r.Build.ExtraHosts = []string{"a"} },
		"build.network":        func(r *rhumb.BuildRequest) { r.Build.Network = "mine" },
		"type gha":             func(r *rhumb.BuildRequest) { r.Build.CacheFrom = []string{"type=gha"} },
		"has no ref":           func(r *rhumb.BuildRequest) { r.Build.CacheFrom = []string{"type=registry"} },
		"invalid image name":   func(r *rhumb.BuildRequest) { r.Build.Tags = []string{"Not A Name"} },
		"both dockerfile":      func(r *rhumb.BuildRequest) { r.Build.Inline, r.Build.Dockerfile = "FROM x", "y" },
		"tar stream":           func(*rhumb.BuildRequest) {},
	} {
		r := rhumb.BuildRequest{Stack: "shop", Service: "web", Name: "shop-web:1"}
		change(&r)
		_, err := b.Build(t.Context(), r, strings.NewReader("rubbish"), nil)
		if code := rhumb.ErrorCode(err); code != rhumb.Invalid && code != rhumb.Unsupported ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestACancelledBuildEndsSoonAndSaysSo(t *testing.T) {
	w := newWorkshop(t)
	dir := tree(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN echo begun; sleep 60\n"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := w.request("web")
	r.Build.NoCache = true
	start := time.Now()
	_, err := w.builder.Build(ctx, r, bytes.NewReader(pack(t, dir, "")), func(p rhumb.BuildProgress) {
		if p.Output == "begun" {
			start = time.Now()
			cancel()
		}
	})
	if rhumb.ErrorCode(err) != rhumb.Cancelled {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Fatalf("it took %v", took)
	} else {
		t.Logf("it ended %v after it was cancelled", took.Round(time.Millisecond))
	}
}

func TestAnEngineThatIsAwayIsUnavailable(t *testing.T) {
	c, err := client.New(client.WithHost("unix://" + filepath.Join(t.TempDir(), "none.sock")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := tree(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	_, err = New(c, slog.New(slog.DiscardHandler)).Build(t.Context(), rhumb.BuildRequest{Service: "web", Name: "x:1"},
		bytes.NewReader(pack(t, dir, "")), nil)
	if rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Fatalf("got %v", err)
	}
	t.Log(err)
}

func BenchmarkABuildWithoutAChange(b *testing.B) {
	c := docker(b)
	dir := tree(b, map[string]string{"a.txt": "one", "Dockerfile": "FROM " + base + "\nCOPY . /app\nRUN cat /app/a.txt\n"})
	for i := range 500 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("file", i)), []byte(strings.Repeat(fmt.Sprint(i), 2000)),
			0o644); err != nil {
			b.Fatal(err)
		}
	}
	r := rhumb.BuildRequest{Service: "web", Name: fmt.Sprintf("build-bench-%06x:1", rand.Uint32N(1<<24))}
	defer c.ImageRemove(context.Background(), r.Name, client.ImageRemoveOptions{Force: true})
	builder := New(c, slog.New(slog.DiscardHandler))
	for b.Loop() {
		if _, err := builder.Build(b.Context(), r, bytes.NewReader(pack(b, dir, "")), nil); err != nil {
			b.Fatal(err)
		}
	}
}
