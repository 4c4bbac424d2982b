package control

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/control/act"
	"rhumb/control/ready"
	"rhumb/engine/enginefake"
)

// diary notes what hooks did, in their order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) count(line string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, l := range d.lines {
		if l == line {
			n++
		}
	}
	return n
}

// hooking has the diary note what runs in the bed's replicas and beside them; fails has the exit codes of
// commands.
func (b *bed) hooking(d *diary, fails map[string]int) {
	b.engine.Interpret(func(s rhumb.ReplicaSpec) enginefake.Behaviour {
		if s.OneOff != "" || strings.Contains(s.Service, ".pre_start.") {
			what := strings.Join(s.Container.Command, " ")
			d.note(what)
			return enginefake.Behaviour{Output: []string{what + " says so"}, ExitAtOnce: s.OneOff == "",
				ExitCode: fails[what]}
		}
		return enginefake.Behaviour{Exec: func(o rhumb.ExecOptions) int {
			what := strings.Join(o.Command, " ")
			d.note(what)
			if o.Once == "" {
				d.note("without a word")
			}
			_, _ = o.Streams.Out.Write([]byte(what + " says so\n"))
			if code := fails[what]; code >= 0 {
				return code
			}
			time.Sleep(15 * time.Second)
			return 0
		}}
	})
}

// hookedShop is shop with hooks of all kinds at web.
func hookedShop(image string) rhumb.Stack {
	m := shop(image)
	web := m.Service("web")
	hook := rhumb.Service{Name: "web.pre_start.1", Job: true, Replicas: 1, DependsOn: web.DependsOn,
		Order:     rhumb.StartFirst,
		Container: rhumb.Container{Command: []string{"migrate"}, Networks: web.Container.Networks},
		Ready:     rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: time.Minute}}
	web.DependsOn = append(slices.Clone(web.DependsOn), rhumb.Dependency{Service: hook.Name,
		Condition: rhumb.DependsCompleted})
	web.PreStart = []rhumb.PreStart{{Number: 2, Container: rhumb.Container{Command: []string{"prepare"}},
		Timeout: time.Minute}}
	web.PostStart = []rhumb.Hook{{Command: []string{"greet"}, Timeout: 10 * time.Second}}
	web.PreStop = []rhumb.Hook{{Command: []string{"leave"}, Timeout: time.Minute}}
	web.After = &rhumb.Check{Command: []string{"smoke"}, Timeout: time.Minute}
	m.Services = append(m.Services, hook)
	return m
}

func TestHooksRunAndAreKeptWithTheDeployment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBed(t), &diary{}
		b.hooking(d, nil)
		b.deploy(hookedShop("web:1"))
		got := b.deploy(hookedShop("web:2"))
		if got.Phase != rhumb.PhaseConverged {
			t.Fatalf("%s: %s", got.Phase, got.Why)
		}
		b.wantReplicas("shop-db.1.1", "shop-web.2.1", "shop-web.2.2", "shop-web.pre_start.1.2.1")
		for what, times := range map[string]int{"migrate": 2, "prepare": 4, "greet": 4, "smoke": 2, "leave": 2,
			"without a word": 0} {
			if d.count(what) != times {
				t.Errorf("%s ran %d times, not %d", what, d.count(what), times)
			}
		}
		kinds := map[rhumb.HookKind]int{}
		for _, r := range got.Hooks {
			kinds[r.Kind]++
			if len(r.Logs) != 1 || !strings.HasSuffix(r.Logs[0], " says so") || r.Failed != "" {
				t.Errorf("%+v", r)
			}
		}
		if kinds[rhumb.HookPreStart] != 3 || kinds[rhumb.HookPostStart] != 2 || kinds[rhumb.HookAfter] != 1 ||
			!slices.Equal(got.Checked, []string{"web"}) {
			t.Errorf("kept: %v, checked %v", kinds, got.Checked)
		}
		quiet := hookedShop("web:2")
		quiet.Service("db").Container.Image = "postgres:2"
		b.deploy(quiet)
		if _, err := b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseScale,
			Scale: map[string]int{"web": 3}}); err != nil {
			t.Fatal(err)
		}
		b.wantReplicas("shop-db.3.1", "shop-web.2.1", "shop-web.2.2", "shop-web.4.3", "shop-web.pre_start.1.2.1")
		if d.count("migrate") != 2 || d.count("prepare") != 5 {
			t.Errorf("its service doesn't change, and yet: %q", d.lines)
		}
	})
}

func TestAHookThatFailsPutsTheDeploymentBack(t *testing.T) {
	for what, says := range map[string]string{
		"migrate": `hook "pre_start of web" exited with 3`,
		"prepare": `hook "pre_start 2 of web" exited with 3`,
		"greet":   `hook "post_start of web" exited with 3`,
		"smoke":   "the check after it is in place failed: exited with 3",
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, d := newBed(t), &diary{}
				b.hooking(d, nil)
				b.deploy(hookedShop("web:1"))
				b.hooking(d, map[string]int{what: 3})
				got := b.deploy(hookedShop("web:2"))
				if got.Phase != rhumb.PhaseRolledBack || !strings.Contains(got.Why, says) {
					t.Fatalf("%s: %s, want %s", got.Phase, got.Why, says)
				}
				if what == "migrate" {
					b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2", "shop-web.pre_start.1.1.1")
				} else { // the hook's container of before went when the new one had completed
					b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
				}
				f := got.Failures[0]
				if len(f.Logs) != 1 || f.Logs[0] != what+" says so" {
					t.Errorf("the card: %+v", f)
				}
				if v := got.Verdict().Text; (what == "migrate") == strings.Contains(v, "had completed") {
					t.Errorf("verdict: %s", v)
				}
			})
		})
	}
}

func TestAHookThatTakesTooLongIsEndedAndHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBed(t), &diary{}
		b.hooking(d, map[string]int{"greet": -1})
		if got := b.deploy(hookedShop("web:1")); got.Phase != rhumb.PhaseRolledBack ||
			!strings.Contains(got.Why, `hook "post_start of web" took longer than 10s`) {
			t.Errorf("%s: %s", got.Phase, got.Why)
		}
		time.Sleep(time.Minute) // the fake's own command goes on
	})
}

func TestAFailedPreStopIsAnnouncedAndDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBed(t), &diary{}
		b.hooking(d, map[string]int{"leave": 4})
		b.deploy(hookedShop("web:1"))
		got := b.deploy(hookedShop("web:2"))
		if v := got.Verdict(); v.Exit != 0 || !strings.Contains(v.Text,
			`hook "pre_stop of web" of shop@1 failed: exited with 4`) {
			t.Errorf("%+v", v)
		}
	})
}

func TestAReplicaWhoseHookWasCutOffIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBed(t), &diary{}
		b.hooking(d, map[string]int{"greet": -1})
		dep, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: hookedShop("web:1")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.eventually(func() bool { return d.count("greet") == 2 })
		b.stop() // during the hooks
		time.Sleep(30 * time.Second)
		b.start()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if st, _ := b.router.Status(context.Background()); d.count("greet") != 4 || len(st.Table.Backends) != 1 ||
			len(st.Table.Backends[0].Endpoints) > 0 {
			t.Errorf("hooks ran %d times; table: %+v", d.count("greet"), st.Table.Backends)
		}
		if err := b.Cancel(context.Background(), "shop", dep.ID, "test"); err != nil {
			t.Fatal(err)
		}
		b.ends(dep)
		time.Sleep(time.Minute) // the fake's own commands go on
	})
}

func TestADaemonThatDiesDuringHooksFinishesWhenItIsBack(t *testing.T) {
	for n := 1; ; n++ {
		died := false
		t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, d := newBed(t), &diary{}
				b.hooking(d, nil)
				b.deploy(hookedShop("web:1"))
				d.lines = nil
				var got rhumb.Deployment
				got, died = crashAfter(b, n, func() (rhumb.Deployment, error) {
					return b.Deploy(context.Background(), rhumb.DeployRequest{Model: hookedShop("web:2")}, nil)
				})
				if got.Phase != rhumb.PhaseConverged {
					t.Fatalf("after %d: %s: %s", n, got.Phase, got.Why)
				}
				b.wantReplicas("shop-db.1.1", "shop-web.2.1", "shop-web.2.2", "shop-web.pre_start.1.2.1")
				b.wantRouted("shop-web.2.1", "shop-web.2.2")
				if d.count("migrate") != 1 || d.count("greet") < 2 || d.count("smoke") < 1 {
					t.Errorf("after %d: %q", n, d.lines)
				}
			})
		})
		if !died || t.Failed() {
			return
		}
	}
}

func TestWhatHooksHaveDoneIsNotForgottenForAnOlderLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBed(t), &diary{}
		b.hooking(d, nil)
		b.deploy(hookedShop("web:1"))
		p := act.New(b.runs().Act, "shop", ready.New())
		g, err := b.sources.Wanted(t.Context(), "shop") // as before there was any replica
		if err != nil {
			t.Fatal(err)
		}
		list, err := b.engine.Replicas(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		for _, rep := range list {
			if rep.Service != "web" {
				continue
			}
			p.PostStart(t.Context(), g, rep, g.Wanted.Model.Service("web"))
			if err := p.Done.Complete(t.Context(), rep.ID, b.engine.Replicas); err != nil {
				t.Fatal(err)
			}
		}
		if done, err := p.Done.Completed(t.Context()); len(done) != 2 || d.count("greet") != 2 || err != nil {
			t.Errorf("kept: %v, %v; greet ran %d times, not 2", done, err, d.count("greet"))
		}
	})
}

// unwritable is a store in which, while it is on, no deployment can be changed.
type unwritable struct {
	rhumb.Store
	on atomic.Bool
}

func (s *unwritable) Save(ctx context.Context, d rhumb.Deployment) (rhumb.Deployment, error) {
	if s.on.Load() {
		return d, rhumb.Errorf(rhumb.Internal, "the disk is full")
	}
	return s.Store.Save(ctx, d)
}

func TestAHookWhoseFailureIsNotRecordedRunsAgainAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := newBed(t), &diary{}
		b.hooking(d, map[string]int{"greet": 1})
		store := &unwritable{Store: b.store}
		b.stop()
		b.run(context.Background(), Deps{Engine: b.engine, Images: b.engine, Store: store, Router: b.router})
		m := hookedShop("web:1")
		m.Services = m.Services[:2] // without the job
		web := m.Service("web")
		web.DependsOn, web.PreStart = web.DependsOn[:1], nil
		dep, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
		if err != nil {
			t.Fatal(err)
		}
		store.on.Store(true)
		time.Sleep(10 * time.Second)
		if n := d.count("greet"); n == 0 || n > 2*11 { // two replicas, a second between two tries
			t.Errorf("it ran %d times in ten seconds", n)
		}
		store.on.Store(false)
		if got := b.ends(dep); got.Phase != rhumb.PhaseRolledBack {
			t.Errorf("%s: %s", got.Phase, got.Why)
		}
	})
}
