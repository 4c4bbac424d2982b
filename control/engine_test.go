package control

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestAnEngineWithoutHostsFilesIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		newLand(b)
		b.deploy(inner("api:1"))
		b.stop()
		var out bytes.Buffer
		b.run(context.Background(), Deps{Engine: struct{ rhumb.Engine }{b.land}, Images: b.engine, Store: b.store,
			Router: b.router, Log: slog.New(slog.NewTextHandler(&out, nil))})
		time.Sleep(time.Minute)
		b.stop()
		b.stop = func() {}
		const words = "hosts file not updated"
		if n := strings.Count(out.String(), words); n != 3 { // once for each replica
			t.Errorf("%q is logged %d times:\n%s", words, n, out.String())
		}
	})
}
