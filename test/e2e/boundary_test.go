package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/failpoint"
)

// resumeLimit is how soon a restarted daemon must finish or put back the deployment that was open. The database's first
// check alone takes five seconds of it, and other tests run beside.
const resumeLimit = 20 * time.Second

// mortalBinary builds a rhumb that can be made to die at its named points.
var mortalBinary = sync.OnceValues(func() (string, error) {
	path := binary + "-mortal"
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "failpoints", "-o", path, "rhumb/cmd/rhumb")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rhumb with fail points: %w\n%s", err, out)
	}
	return path, nil
})

// mortal is a server that dies at the points that a test names.
type mortal struct {
	*server
	dir string // see internal/failpoint
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	path, err := mortalBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &mortal{newServerOf(t, path, failpoint.Folder+"="+dir), dir}
}

// dieAt has the process die at the n-th pass of a point from now on.
func (m *mortal) dieAt(p point) {
	m.t.Helper()
	tmp := filepath.Join(m.dir, "next")
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%s:%d", p.name, p.pass), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(m.dir, failpoint.Kill)); err != nil {
		m.t.Fatal(err)
	}
}

// dead reports whether a process has died at the last named point.
func (m *mortal) dead() bool {
	_, err := os.Stat(filepath.Join(m.dir, failpoint.Kill))
	return errors.Is(err, os.ErrNotExist)
}

// spare disarms all points.
func (m *mortal) spare() { _ = os.Remove(filepath.Join(m.dir, failpoint.Kill)) }

// point is the n-th pass of a named point.
type point struct {
	name string
	pass int
}

func (p point) String() string { return fmt.Sprintf("%s (%d)", p.name, p.pass) }

// forget empties the list of passed points.
func (m *mortal) forget() {
	m.t.Helper()
	if err := os.Remove(filepath.Join(m.dir, failpoint.Passed)); err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
}

// passed returns the names of the points passed since the list was emptied.
func (m *mortal) passed() []string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, failpoint.Passed))
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// passes counts how often a point was passed after the last of those that came first.
func (m *mortal) passes(name string, first []point) (n int) {
	names := m.passed()
	for _, p := range first {
		names = names[slices.Index(names, p.name)+1:]
	}
	for _, other := range names {
		if other == name {
			n++
		}
	}
	return n
}

// record returns the points that are passed while do runs, in order: the first pass of each, or all passes. With a
// turn, it returns only those after it, counted from there.
func (m *mortal) record(all bool, turn string, do func()) []point {
	m.t.Helper()
	m.forget()
	do()
	names := m.passed()
	if turn != "" {
		names = names[slices.Index(names, turn)+1:]
	}
	var points []point
	passes := map[string]int{}
	for _, name := range names {
		passes[name]++
		if !strings.HasPrefix(name, "proxy ") && (all || passes[name] == 1) {
			points = append(points, point{name, passes[name]})
		}
	}
	return points
}

// torment deploys again and again, and kills the daemon at every one of the points.
type torment struct {
	*trioStack
	m      *mortal
	begin  func(v int) // the version that is deployed
	first  []point     // where every deployment is killed before anything else
	want   rhumb.Phase
	serves int // the version that serves; set by each deployment that converges
	kills  int
}

// apart is how many deployments share the points of one record out between them: each is killed at every so many-th.
const apart = 5

// tries is how many deployments are begun for a point alone. Not every deployment passes every point: a job may have
// ended before the daemon looks for its names, a replica may be ready by the time the daemon is back.
const tries = 3

// all kills the daemon at each of the points, at several in the course of one deployment, or at each in one of its own.
// At most a tenth of the points may be those that the deployments of this run didn't pass again.
func (x *torment) all(points []point, alone bool) {
	x.t.Helper()
	var missed []point
	for i := range apart {
		mine := slices.Clone(x.first)
		for j := i; j < len(points); j += apart {
			mine = append(mine, points[j])
		}
		if !alone {
			missed = append(missed, x.deployAndDie(mine)...)
		}
	}
	if alone {
		missed = points
	}
	missed = slices.DeleteFunc(slices.Clone(missed), x.diesAt)
	if len(missed)*10 > len(points) {
		x.t.Errorf("%d of %d points were never reached: %v", len(missed), len(points), missed)
	} else if len(missed) > 0 {
		x.t.Logf("not passed in %d deployments of their own: %v", tries, missed)
	}
}

// diesAt deploys until the daemon has died at the point, and reports whether it has. A daemon that passes the point
// must die there.
func (x *torment) diesAt(p point) bool {
	x.t.Helper()
	for range tries {
		x.m.forget()
		if x.deployAndDie(append(slices.Clone(x.first), p)) == nil {
			return true
		}
		if n := x.m.passes(p.name, x.first); n >= p.pass {
			x.t.Errorf("%v: passed %d times, and the daemon lived", p, n)
		}
	}
	return false
}

// deployAndDie deploys the next version and kills the daemon at the points, one after the other. A point is armed
// before the daemon is started that has to reach it. It returns the points that weren't reached. At the end
// everything must match the release that serves.
func (x *torment) deployAndDie(points []point) (missed []point) {
	x.t.Helper()
	x.begin(x.v + 1)
	before := x.last().ID
	x.m.dieAt(points[0])
	asked := x.ask()
	for i, p := range points {
		ended := false
		eventually(x.t, time.Minute, fmt.Sprintf("it dies at %v, or all is done", p), func() error {
			if x.m.dead() {
				return nil
			}
			select {
			case <-asked:
				if x.last().ID == before { // it died before it had noted anything: asked again, as a person would
					asked = x.ask()
				}
			default:
			}
			if last := x.last(); last.ID == before || !last.Phase.Ended() {
				return errors.New("neither")
			}
			ended = true // and what it has made superfluous is gone
			return x.wholeNow()
		})
		died := !ended || x.m.dead()
		if died {
			x.kills++
			x.m.kill() // it is dead; this buries it
		} else {
			x.m.spare()
			missed = append(missed, p)
		}
		if i+1 < len(points) {
			x.m.dieAt(points[i+1])
		}
		if died {
			x.m.start()
		}
	}
	<-asked
	x.m.spare()
	x.m.await()
	if x.last().ID == before {
		if r := x.rhumb("deploy"); r.code != 0 && r.code != 3 {
			x.t.Fatalf("rhumb deploy exits with %d:\n%s", r.code, r.out)
		}
	}
	x.judge(points)
	return missed
}

// ask deploys. The channel that it returns is closed when the command has ended, perhaps because the server has.
func (x *torment) ask() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.rhumb("deploy")
	}()
	return done
}

// last returns the last deployment, or the zero one while the server doesn't answer.
func (x *torment) last() rhumb.Deployment {
	ctx, cancel := context.WithTimeout(x.t.Context(), 5*time.Second)
	defer cancel()
	c := x.s.dialled()
	defer c.Close()
	d, err := c.Deployment(ctx, x.name, 0)
	if err != nil {
		return rhumb.Deployment{}
	}
	return d
}

func (x *torment) wholeNow() error {
	ctx, cancel := context.WithTimeout(x.t.Context(), 5*time.Second)
	defer cancel()
	c := x.s.dialled()
	defer c.Close()
	return x.whole(ctx, c)
}

// judge waits until the deployment has ended and checks everything.
func (x *torment) judge(points []point) {
	x.t.Helper()
	start := time.Now()
	d := x.settled(resumeLimit)
	if d.Phase != x.want {
		x.t.Errorf("killed at %v, it ends %s: %s", points, d.Phase, d.Why)
	}
	if d.Phase == rhumb.PhaseConverged {
		x.serves = x.v
	}
	x.says(x.url("/"), fmt.Sprintf(`"Release":"%d"`, x.serves))
	eventually(x.t, resumeLimit, "only the contents of the release that serves are left",
		func() error { return x.tokens(x.serves) })
	x.t.Logf("killed at %v: %s, all well %.1f s later", points, d.Phase, time.Since(start).Seconds())
}

func TestADaemonKilledAtEveryBoundaryFinishesAndLosesNothing(t *testing.T) {
	t.Parallel()
	needDocker(t)
	m := newMortal(t)
	k := newTrio(t, m.server)
	k.must(0, "deploy")
	long := os.Getenv("RHUMB_TEST_LONG") == "1"
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 40, inner: k.innerURL("api")})
	x := &torment{trioStack: k, m: m, begin: k.version, want: rhumb.PhaseConverged, serves: 1}
	x.all(m.record(long, "", func() {
		k.version(k.v + 1)
		k.must(0, "deploy")
		x.judge(nil)
	}), long)
	forward := x.kills
	x.begin, x.want = k.failing, rhumb.PhaseRolledBack
	const turn = "after it is rolling back" // what comes before it has been seen above
	x.deployAndDie([]point{{"before record web", 1}, {"after record web", 1}, {"before it is rolling back", 1}})
	x.first = []point{{turn, 1}}
	putBack := func() { x.deployAndDie(x.first) }
	back := m.record(long, turn, putBack)
	if !long { // every other one: they are the same steps as on the way forward
		for i := range len(back) / 2 {
			back[i] = back[2*i]
		}
		back = back[:len(back)/2]
	}
	x.all(back, long)
	t.Logf("the daemon was killed %d times on the way forward, %d times on the way back", forward, x.kills-forward)
	y := l.end()
	t.Log(y)
	if y.failed > 0 {
		t.Errorf("%d requests failed", y.failed)
	}
}
