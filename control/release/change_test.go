package release

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// shop returns a release of a web service, the database that it depends on, and a job.
func shop() *rhumb.Release {
	m := rhumb.Stack{Name: "shop", Services: []rhumb.Service{
		{Name: "db", Replicas: 1, Container: rhumb.Container{Image: "db:1"}},
		{Name: "web", Replicas: 2, Container: rhumb.Container{Image: "web:1"},
			DependsOn: []rhumb.Dependency{{Service: "db", Restart: true}}},
		{Name: "migrate", Replicas: 1, Job: true, Container: rhumb.Container{Image: "web:1"}},
	}}
	if err := linkServices(&m); err != nil {
		panic(err)
	}
	return newRelease(m, map[string]rhumb.Image{"web": {ID: "sha256:1"}})
}

func TestAScaledReleaseRunsTheSameContainers(t *testing.T) {
	cur := shop()
	got, err := Change(cur, rhumb.ChangeRequest{Cause: rhumb.CauseScale, Scale: map[string]int{"web": 5}, By: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Model.Service("web").Replicas != 5 || got.Note != "scale web=5" || got.By != "ann" {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(cur.Specs, got.Specs); diff != "" {
		t.Errorf("specs (-old +new):\n%s", diff)
	}
}

func TestARestartReplacesDependentServices(t *testing.T) {
	cur := shop()
	got, err := Change(cur, rhumb.ChangeRequest{Cause: rhumb.CauseRestart, Services: []string{"db"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string]bool{"db": true, "web": true, "migrate": false} {
		if (got.Specs[name] != cur.Specs[name]) != changes {
			t.Errorf("%s is replaced: %v", name, !changes)
		}
	}
}

func TestAnImpossibleChangeIsRefused(t *testing.T) {
	for name, r := range map[string]rhumb.ChangeRequest{
		"nothing to scale":  {Cause: rhumb.CauseScale},
		"unknown service":   {Cause: rhumb.CauseScale, Scale: map[string]int{"other": 1}},
		"a job scaled":      {Cause: rhumb.CauseScale, Scale: map[string]int{"migrate": 2}},
		"too many":          {Cause: rhumb.CauseScale, Scale: map[string]int{"web": maxReplicas + 1}},
		"a job restarted":   {Cause: rhumb.CauseRestart, Services: []string{"migrate"}},
		"no kind of change": {Cause: "whim"},
	} {
		if _, err := Change(shop(), r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
