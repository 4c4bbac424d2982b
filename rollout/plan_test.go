package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

func TestPlanReturnsEveryStepInOrder(t *testing.T) {
	one, two := stack(web(2, "a")), stack(web(2, "b"))
	data := rhumb.Volume{Key: "data", Name: "shop_data"}
	net := rhumb.Network{Key: "default", Name: "shop_default"}
	full := stack(db("a"), migrate("a"),
		after(after(web(1, "a"), "db", rhumb.DependsHealthy), "migrate", rhumb.DependsCompleted))
	full.Networks, full.Volumes = []rhumb.Network{net}, []rhumb.Volume{data}
	full.Services[1] = after(full.Services[1], "db", rhumb.DependsHealthy)
	moved := stack(web(1, "a"))
	moved.Services[0].Name = "edge"

	for _, tc := range []struct {
		name string
		w    Wanted
		o    world
		want []string
	}{
		{"start-first, one slot after the other", deploy(42, one, two), serving(41, one), []string{
			"start shop-web.42.1 (image changed)",
			"route shop-web.42.1 (ready)",
			"drain shop-web.41.1 (image changed)",
			"start shop-web.42.2 (image changed)",
			"unroute shop-web.41.1 (image changed)",
			"route shop-web.42.2 (ready)",
			"stop shop-web.41.1 (image changed)",
			"remove shop-web.41.1 (image changed)",
			"drain shop-web.41.2 (image changed)",
			"unroute shop-web.41.2 (image changed)",
			"stop shop-web.41.2 (image changed)",
			"remove shop-web.41.2 (image changed)",
		}},
		{"a first deployment goes by dependencies, the job before the web", deploy(1, nil, full), world{}, []string{
			"create network shop_default (missing)",
			"create volume shop_data (missing)",
			"publish *:80/tcp (new address)",
			"start shop-db.1.1 (new)",
			"run shop-migrate.1.1 (new)",
			"start shop-web.1.1 (new)",
			"route shop-web.1.1 (ready)",
		}},
		{"stop-first goes before it comes", deploy(42, stack(db("a")), stack(db("b"))), serving(41, stack(db("a"))),
			[]string{
				"stop shop-db.41.1 (image changed)",
				"start shop-db.42.1 (image changed)",
				"remove shop-db.41.1 (image changed)",
			}},
		{"scaled up", deploy(42, one, stack(web(3, "a"))), serving(41, one), []string{
			"start shop-web.42.3 (replicas 2 -> 3)",
			"route shop-web.42.3 (ready)",
		}},
		{"scaled down", deploy(42, one, stack(web(1, "a"))), serving(41, one), []string{
			"drain shop-web.41.2 (replicas 2 -> 1)",
			"unroute shop-web.41.2 (replicas 2 -> 1)",
			"stop shop-web.41.2 (replicas 2 -> 1)",
			"remove shop-web.41.2 (replicas 2 -> 1)",
		}},
		{"an address moves with a service's name", deploy(42, stack(web(1, "a")), moved),
			serving(41, stack(web(1, "a"))), []string{
				"start shop-edge.42.1 (new)",
				"route shop-edge.42.1 (ready)",
				"publish *:80/tcp (moves from web)",
				"drain shop-web.41.1 (not in shop@42 any more)",
				"unroute shop-web.41.1 (not in shop@42 any more)",
				"stop shop-web.41.1 (not in shop@42 any more)",
				"remove shop-web.41.1 (not in shop@42 any more)",
			}},
		{"nothing changed", deploy(42, one, one), serving(41, one), nil},
		{"down, dependents first", Wanted{Stack: "shop", Previous: full, Mode: Deploy}, serving(41, full), []string{
			"remove shop-migrate.41.1 (everything is removed)",
			"drain shop-web.41.1 (everything is removed)",
			"unroute shop-web.41.1 (everything is removed)",
			"stop shop-web.41.1 (everything is removed)",
			"unpublish *:80/tcp (everything is removed)",
			"stop shop-db.41.1 (everything is removed)",
			"remove shop-web.41.1 (everything is removed)",
			"remove shop-db.41.1 (everything is removed)",
			"remove network shop_default (everything is removed)",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := words(Plan(tc.w, Observed(tc.o), noon))
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
		})
	}
}

func TestPlanDoesNotChangeTheObservedWorld(t *testing.T) {
	one, two := stack(web(2, "a")), stack(web(2, "b"))
	o, same := serving(41, one), serving(41, one)
	Plan(deploy(42, one, two), Observed(o), noon)
	if d := cmp.Diff(same, o); d != "" {
		t.Errorf("the observed world changed:\n%s", d)
	}
}

func TestPlanEndsDespiteLongDelaysAndMonitors(t *testing.T) {
	one, two := stack(web(5, "a")), stack(web(5, "b"))
	two.Services[0].Update.Delay, two.Services[0].Update.Monitor = time.Hour, time.Hour
	if got := len(Plan(deploy(42, one, two), Observed(serving(41, one)), noon)); got != 6*5 {
		t.Errorf("%d steps, want 30", got)
	}
}
