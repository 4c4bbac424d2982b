package e2e

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"rhumb"
)

// longer returns the first number for an everyday run, and the second for RHUMB_TEST_LONG=1.
func longer(usual, long int) int {
	if os.Getenv("RHUMB_TEST_LONG") == "1" {
		return long
	}
	return usual
}

func TestADaemonKilledAtRandomMomentsFinishesAndLosesNothing(t *testing.T) {
	t.Parallel()
	needDocker(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	k := newTrio(t, newServer(t))
	k.must(0, "deploy")
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 40, inner: k.innerURL("api")})
	x := &torment{trioStack: k, serves: 1}
	for x.kills < longer(20, 200) {
		x.begin, x.want = k.version, rhumb.PhaseConverged
		if rng.IntN(4) == 0 {
			x.begin, x.want = k.failing, rhumb.PhaseRolledBack
		}
		var pauses []time.Duration
		for range 1 + rng.IntN(6) {
			pauses = append(pauses, time.Duration(rng.Int64N(int64(1200*time.Millisecond))))
		}
		x.deployAndKill(pauses)
	}
	t.Logf("the daemon was killed %d times", x.kills)
	y := l.end()
	t.Log(y)
	if y.failed > 0 {
		t.Errorf("%d requests failed", y.failed)
	}
}

// deployAndKill deploys the next version and kills the daemon after each of the pauses. In the end all must be as the
// release that serves has it.
func (x *torment) deployAndKill(pauses []time.Duration) {
	x.t.Helper()
	x.begin(x.v + 1)
	before := x.last().ID
	asked := x.ask()
	for _, d := range pauses {
		time.Sleep(d)
		x.kills++
		x.s.kill()
		x.s.start()
	}
	<-asked
	x.s.await()
	if x.last().ID == before {
		x.rhumb("deploy")
	}
	x.judge(nil)
}
