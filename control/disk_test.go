package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
	"rhumb/internal/disk"
)

func TestAFullDiskStopsWhatIsNewAndNothingElse(t *testing.T) {
	b := newBed(t)
	b.deploy(shop("web:1"))
	b.deploy(shop("web:2"))
	usage := map[string]disk.Usage{"/nowhere": {Used: 50, Usable: 100}, "/data": {Used: 50, Usable: 100}}
	b.Control.Data = "/data"
	b.Control.Space = func(path string) (disk.Usage, error) { return usage[path], nil }
	b.Control.Usage = func(context.Context) (string, error) { return "images 12.3 GB", nil }
	if err := b.Room(t.Context()); err != nil {
		t.Fatalf("half full: %v", err)
	}
	for _, c := range []struct {
		path  string
		usage disk.Usage
		says  string
	}{
		{"/nowhere", disk.Usage{Used: 45e9, Usable: 50e9},
			"the disk of /nowhere (the engine's data) is 90% full, 45.0 GB of 50.0 GB: images 12.3 GB"},
		{"/data", disk.Usage{Used: 95e6, Usable: 100e6},
			"the disk of /data (rhumb's data) is 95% full, 95 MB of 100 MB"},
		{"/data", disk.Usage{Used: 1, Usable: 100, Inodes: 1000, Free: 20},
			"the disk of /data (rhumb's data) has 98% of its inodes in use, 980 of 1000"},
	} {
		was := usage[c.path]
		usage[c.path] = c.usage
		_, err := b.Deploy(t.Context(), rhumb.DeployRequest{Model: shop("web:3"), By: "test"}, nil)
		if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), c.says) ||
			!strings.Contains(rhumb.ErrorHint(err), "rhumb doctor") {
			t.Errorf("%v: %v (%s)", c.usage, err, rhumb.ErrorHint(err))
		}
		usage[c.path] = was
	}
	usage["/data"] = disk.Usage{Used: 100, Usable: 100}
	b.change(rhumb.ChangeRequest{Cause: rhumb.CauseRollback, Release: 1})
	b.change(rhumb.ChangeRequest{Cause: rhumb.CauseDown})
	b.Control.DiskLimit = 100
	if err := b.Room(t.Context()); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

func TestImagesThatNoReleaseNeedsArePrunedAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.engine.AddImage("mine:1")
		b.engine.AddBuilt("shop-web:lost") // built, and never deployed
		b.deploy(shop("web:1"))
		b.deploy(shop("web:2"))
		wrong := shop("web:3")
		wrong.Services[0].Routes = []rhumb.Route{{Host: "db.example.com"}} // to no port: found once the images are here
		if _, err := b.Deploy(t.Context(), rhumb.DeployRequest{Model: wrong, By: "test"}, nil); err == nil {
			t.Fatal("a deployment with a route that leads nowhere")
		}
		has := func(ref string) bool { return b.engine.Has(enginefake.ImageID(ref)) }
		if !has("shop-web:lost") || !has("web:3") {
			t.Fatal("what has just come is gone already")
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		for ref, want := range map[string]bool{"mine:1": true, "web:1": true, "web:2": true, "shop-web:lost": false,
			"web:3": false} {
			if has(ref) != want {
				t.Errorf("%s is there: %v", ref, !want)
			}
		}
	})
}
