package docker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker"
)

// within waits for something to come true.
func within(t *testing.T, d time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(d)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// start starts a replica.
func start(t *testing.T, e *docker.Engine, s rhumb.ReplicaSpec) rhumb.Replica {
	t.Helper()
	r, err := e.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// exited waits for the exit of a stack's only replica.
func exited(t *testing.T, e *docker.Engine, stack string) rhumb.Replica {
	t.Helper()
	var rs []rhumb.Replica
	within(t, 20*time.Second, "exit", func() bool {
		var err error
		if rs, err = e.Replicas(t.Context(), stack); err != nil || len(rs) != 1 {
			t.Fatalf("%+v, %v", rs, err)
		}
		return rs[0].State == rhumb.StateExited
	})
	return rs[0]
}

// lines reads a replica's logs.
func lines(t *testing.T, e *docker.Engine, id string) []string {
	t.Helper()
	var texts []string
	for l, err := range e.Logs(t.Context(), id, rhumb.LogOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, l.Text)
	}
	return texts
}

// processes counts the processes in a container.
func processes(t *testing.T, id string) int {
	t.Helper()
	r, err := raw(t).ContainerTop(t.Context(), id, client.ContainerTopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(r.Processes)
}

func TestAProbeThatHangsIsKilledWithItsChildren(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	r := start(t, e, spec(t, stack, "web", 1))
	before := processes(t, r.ID)
	begun := time.Now()
	err := e.Probe(t.Context(), r.ID, rhumb.Healthcheck{Test: []string{"CMD", "/app", "spawn"}, Timeout: time.Second})
	if rhumb.ErrorCode(err) != rhumb.Timeout || time.Since(begun) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	within(t, 5*time.Second, "all processes of the probe are gone", func() bool { return processes(t, r.ID) == before })
}

func TestACommandWhoseCallerLeavesIsKilled(t *testing.T) {
	e := need(t)
	r := start(t, e, spec(t, stackName(t), "web", 1))
	before := processes(t, r.ID)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	_, err := e.Exec(ctx, r.ID, rhumb.ExecOptions{Command: []string{"/app", "ignore", "sleep", "1h"},
		Streams: rhumb.Streams{Out: io.Discard}})
	if rhumb.ErrorCode(err) != rhumb.Cancelled {
		t.Errorf("error: %v", err)
	}
	within(t, 5*time.Second, "the command is gone", func() bool { return processes(t, r.ID) == before })
}

func TestTheOutputOfAProbeIsLimited(t *testing.T) {
	e := need(t)
	r := start(t, e, spec(t, stackName(t), "web", 1))
	err := e.Probe(t.Context(), r.ID, rhumb.Healthcheck{Test: []string{"CMD", "/app", "long", "1000000", "exit", "1"}})
	if err == nil || len(err.Error()) != 4096 {
		t.Errorf("%d bytes", len(fmt.Sprint(err)))
	}
	err = e.Probe(t.Context(), r.ID, rhumb.Healthcheck{Test: []string{"CMD", "/no/such/check"}})
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a check that isn't there: %v", err)
	}
}

func TestAReplicaThatWasMadeAndNeverStartedIsStarted(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	c := raw(t)
	for _, n := range []string{"_a", "_b"} {
		if err := e.EnsureNetwork(t.Context(), stack, rhumb.Network{Name: stack + n}); err != nil {
			t.Fatal(err)
		}
	}
	s := spec(t, stack, "web", 1)
	s.Container.NetworkMode, s.Container.Networks = "", []rhumb.Attachment{{Network: stack + "_a"},
		{Network: stack + "_b"}}
	r := start(t, e, s)
	i, err := c.ContainerInspect(t.Context(), r.ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ContainerRemove(t.Context(), r.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	// As if the first call had been cut off right after making it.
	made, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: s.Name(), Config: i.Container.Config,
		HostConfig: i.Container.HostConfig})
	if err != nil {
		t.Fatal(err)
	}
	if rs, err := e.Replicas(t.Context(), stack); err != nil || len(rs) != 1 || rs[0].State != rhumb.StateCreated {
		t.Fatalf("made: %+v, %v", rs, err)
	}
	r = start(t, e, s)
	if r.ID != made.ID || r.State != rhumb.StateRunning || len(r.Addrs) != 2 {
		t.Errorf("not the one that was there, on both networks: %+v", r)
	}
}

func TestManyCallsAtOnceMakeOneReplicaAndOneNetwork(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	var wg sync.WaitGroup
	ids := make([]string, 4)
	for i := range ids {
		wg.Go(func() {
			if err := e.EnsureNetwork(t.Context(), stack, rhumb.Network{Name: stack + "_n"}); err != nil {
				t.Error(err)
			}
			r, err := e.Start(t.Context(), spec(t, stack, "web", 1))
			if err != nil {
				t.Error(err)
			}
			ids[i] = r.ID
		})
	}
	wg.Wait()
	if slices.Sort(ids); ids[0] != ids[3] || ids[0] == "" {
		t.Errorf("replicas: %v", ids)
	}
	if h, err := e.Holdings(t.Context(), stack); err != nil || len(h.Networks) != 1 {
		t.Errorf("networks: %v, %v", h.Networks, err)
	}
}

func TestWhatIsNotRhumbsIsNotTouched(t *testing.T) {
	e := need(t)
	c := raw(t)
	made, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: stackName(t) + "-foreign.1.1",
		Image: image(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = c.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true})
	})
	if _, err := c.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Stop(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	if err := e.Remove(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	if _, err := e.Exec(t.Context(), made.ID,
		rhumb.ExecOptions{Command: []string{"/app", "exit", "0"}}); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("exec: %v", err)
	}
	if err := e.Probe(t.Context(), made.ID,
		rhumb.Healthcheck{Test: []string{"CMD", "/app", "exit", "0"}}); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("probe: %v", err)
	}
	i, err := c.ContainerInspect(t.Context(), made.ID, client.ContainerInspectOptions{})
	if err != nil || !i.Container.State.Running {
		t.Errorf("it was touched: %+v, %v", i.Container.State, err)
	}
}

func TestAPausedReplicaIsAliveAndCanBeStopped(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	s := spec(t, stack, "web", 1)
	s.Container.StopGrace = time.Second
	r := start(t, e, s)
	if _, err := raw(t).ContainerPause(t.Context(), r.ID, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	if rs, err := e.Replicas(t.Context(), stack); err != nil || rs[0].State != rhumb.StatePaused || !rs[0].Alive() {
		t.Fatalf("paused: %+v, %v", rs, err)
	}
	if err := e.Stop(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	exited(t, e, stack)
}

func TestNamespacesAndVolumesOfAnotherReplicaAreShared(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	n := rhumb.Network{Name: stack + "_n"}
	if err := e.EnsureNetwork(t.Context(), stack, n); err != nil {
		t.Fatal(err)
	}
	db := spec(t, stack, "db", 1, "write", "/x/file", "from db\n", "listen", "7000")
	db.Container.NetworkMode, db.Container.Networks = "", []rhumb.Attachment{{Network: n.Name}}
	db.Container.Mounts = []rhumb.Mount{{Type: rhumb.MountVolume, Target: "/x"}}
	d := start(t, e, db)
	web := spec(t, stack, "web", 1)
	web.Container.NetworkMode, web.Container.PID, web.Container.VolumesFrom = "service:db", "service:db", []string{"db:ro"}
	web.Joined = map[string]string{"db": d.ID}
	web.Hosts = map[string]string{"db": "10.0.0.1"} // its namespace has a hosts file already
	w := start(t, e, web)
	if w.Joined != d.ID || len(w.Addrs) != 0 || len(d.Addrs) != 1 {
		t.Errorf("joined %q, addresses %v and %v", w.Joined, w.Addrs, d.Addrs)
	}
	var out bytes.Buffer
	code, err := e.Exec(t.Context(), w.ID, rhumb.ExecOptions{Command: []string{"/app", "cat", "/x/file"},
		Streams: rhumb.Streams{Out: &out}})
	if err != nil || code != 0 || out.String() != "from db\n" {
		t.Errorf("%d, %v, %q", code, err, out.String())
	}
	code, err = e.Exec(t.Context(), w.ID, rhumb.ExecOptions{Command: []string{"/app", "write", "/x/file", "no"}})
	if err != nil || code == 0 {
		t.Errorf("writing to a read-only volume: %d, %v", code, err)
	}
}

func TestFilesHaveTheirOwnerAndModeAndArePrunedWhenUnused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: files are kept in a memory file system of rhumb's own")
	}
	e := need(t)
	stack := stackName(t)
	s := spec(t, stack, "web", 1, "stat", "/a", "stat", "/b", "cat", "/a")
	s.Container.Mounts = []rhumb.Mount{
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "key", Target: "/a", UID: "1000", GID: "1001", Mode: 0o400},
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "key", Target: "/b"},
	}
	s.Files = []rhumb.File{{Kind: rhumb.FileSecret, Name: "key", Content: []byte("secret\n")}}
	r := start(t, e, s)
	exited(t, e, stack)
	if got := lines(t, e, r.ID); !slices.Equal(got, []string{"1000:1001 400", "0:0 444", "secret"}) {
		t.Errorf("seen inside: %q", got)
	}
	i, err := raw(t).ContainerInspect(t.Context(), r.ID, client.ContainerInspectOptions{})
	if err != nil || strings.Contains(string(i.Raw), "secret\\n") {
		t.Errorf("the content is in what inspect shows: %v", err)
	}
	path := i.Container.Mounts[0].Source
	if err := e.SweepFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a dead replica's file was removed: %v", err)
	}
	if err := e.Remove(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if err := e.SweepFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Dir(filepath.Dir(path)) + "/*"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	s.Container.Mounts[0].UID = "www-data"
	s.Slot = 2
	if _, err := e.Start(t.Context(), s); rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) == "" {
		t.Errorf("a user's name: %v", err)
	}
}

func TestAnyUserInAContainerReadsItsFilesAndNoneOutside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: files are kept in a memory file system of rhumb's own")
	}
	e := need(t)
	stack := stackName(t)
	s := spec(t, stack, "web", 1, "cat", "/all", "cat", "/own")
	s.Container.User = "1000:1000"
	s.Container.Mounts = []rhumb.Mount{
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "key", Target: "/all"},
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "key", Target: "/own", UID: "1000", GID: "1000", Mode: 0o400},
	}
	s.Files = []rhumb.File{{Kind: rhumb.FileSecret, Name: "key", Content: []byte("secret\n")}}
	r := start(t, e, s)
	exited(t, e, stack)
	if got := lines(t, e, r.ID); !slices.Equal(got, []string{"secret", "secret"}) {
		t.Errorf("the user 1000 reads %q", got)
	}
	if err := e.Remove(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	s.Container.User = "2000"
	r = start(t, e, s)
	exited(t, e, stack)
	got := lines(t, e, r.ID) // of both streams, in whatever order they came
	slices.Sort(got)
	if len(got) != 2 || got[0] != "secret" || !strings.Contains(got[1], "permission denied") {
		t.Errorf("the user 2000 reads %q", got)
	}
	i, err := raw(t).ContainerInspect(t.Context(), r.ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range i.Container.Mounts {
		if info, err := os.Stat(filepath.Dir(m.Source)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: the folder's mode is %v, %v", m.Source, info.Mode(), err)
		}
	}
}

func TestABindMountOfWhatIsNotThere(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	s := spec(t, stack, "web", 1)
	missing := filepath.Join(t.TempDir(), "a", "b")
	s.Container.Mounts = []rhumb.Mount{{Type: rhumb.MountBind, Source: missing, Target: "/x"}}
	if _, err := e.Start(t.Context(), s); rhumb.ErrorCode(err) != rhumb.Invalid ||
		!strings.Contains(err.Error(), missing) {
		t.Errorf("without create: %v", err)
	}
	s.Container.Mounts[0].Create = true
	start(t, e, s)
	if i, err := os.Stat(missing); err != nil || !i.IsDir() {
		t.Errorf("with create: %v", err)
	}
}

func TestADeathForMemoryIsReportedAsSuch(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	// a program that dies at once can escape the engine's watch for it
	s := spec(t, stack, "web", 1, "sleep", "500ms", "eat")
	s.Container.Resources.Memory, s.Container.Resources.MemorySwap = 32<<20, 32<<20
	start(t, e, s)
	within(t, 10*time.Second, "the death for memory", func() bool { // reported shortly after the exit
		r := exited(t, e, stack)
		return r.OOM && r.ExitCode == 137
	})
}
