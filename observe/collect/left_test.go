package collect

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"rhumb"
	"rhumb/internal/leftlog"
)

// leave removes a container as an engine of rhumb does: its log files are kept.
func (b *bench) leave(f leftlog.Folder, id string) {
	b.Helper()
	ws, err := b.engine.Writers(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, w := range ws {
		if w.Line.Container == id {
			if err := f.Keep(w); err != nil {
				b.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Dir(w.File)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.engine.Drop(id)
}

// empty waits until no file of a removed container is kept.
func (b *bench) empty(f leftlog.Folder) {
	b.Helper()
	b.within("the files are dropped", func() bool {
		b.list(b.Context())
		if err := b.save(b.Context()); err != nil {
			b.Fatal(err)
		}
		ws, err := f.Writers()
		return err == nil && len(ws) == 0
	})
}

func TestLinesOfAContainerThatIsGoneAreCollected(t *testing.T) {
	b := setup(t, 2000, 300)
	f := leftlog.Folder(filepath.Join(t.TempDir(), "left"))
	b.left = f
	r := b.start("shop", 1)
	for i := range 100 {
		b.write(r.ID, false, fmt.Sprintf("line %d\n", i))
	}
	b.write(r.ID, false, "no end")
	b.engine.Kill(r.ID, 1)
	b.leave(f, r.ID)
	b.collect()
	b.within("all lines", func() bool { return len(b.sink.texts(r.ID, false)) == 101 })
	b.empty(f)
	l := b.sink.of(r.ID)[0]
	if l.Stack != "shop" || l.Service != "web" || l.Release != 3 || l.Replica != "shop-web.3.1" {
		t.Errorf("%+v", l)
	}
	b.within("the position is dropped", func() bool {
		b.list(t.Context())
		_, ok := b.Collector.positions.get(r.ID)
		return !ok && b.tail(r.ID) == nil
	})
}

func TestARemovalAtAnyMomentCostsNoLine(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	b := setup(t, 24<<10, 300)
	b.sink = newStore(seed)
	f := leftlog.Folder(filepath.Join(t.TempDir(), "left"))
	b.left = f
	const replicas, lines = 8, 300
	var ids []string
	runs := false
	for i := range replicas {
		if !runs && rng.IntN(2) == 0 {
			b.collect()
			runs = true
		}
		r := b.start("shop", i+1)
		ids = append(ids, r.ID)
		b.writeNumbers(r.ID, lines, rng.Uint64())
		b.engine.Kill(r.ID, 1)
		b.leave(f, r.ID)
		if rng.IntN(2) == 0 {
			b.stop()
			b.sink.crash()
			runs = false
		}
	}
	b.stop()
	b.collect()
	b.empty(f)
	for _, id := range ids {
		b.inOrder(id, lines)
	}
}

// damagedLeft can't be listed.
type damagedLeft struct{ noLeft }

func (damagedLeft) Writers() ([]rhumb.LogWriter, error) { return nil, os.ErrPermission }

func TestAFolderThatCannotBeListedStopsNothing(t *testing.T) {
	b := setup(t, 0, 0)
	b.left = damagedLeft{}
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "first\n")
	b.within("the line", func() bool { return b.sink.has(r.ID, "first") })
}
