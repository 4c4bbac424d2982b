package rate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"rhumb/proxy/internal/limits"
)

// exact is a map of all buckets.
type exact map[uint64]time.Duration

func (m exact) wait(key uint64, now time.Duration, p Pace) time.Duration {
	return max(m[key]-now-p.Burst, 0)
}

func (m exact) put(key uint64, now time.Duration, p Pace) { m[key] = max(m[key], now) + p.Each }

// source returns random numbers, of which the seed is in the test's output.
func source(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// someKeys returns random keys.
func someKeys(r *rand.Rand, n int) []uint64 {
	list := make([]uint64, n)
	for i := range list {
		list[i] = nonzero(r.Uint64())
	}
	return list
}

func TestATableWithRoomIsAMapOfBuckets(t *testing.T) {
	r := source(t)
	keys, table, model := someKeys(r, 5000), NewTable(limits.NewBudget(places)), exact{}
	paces := []Pace{{time.Second, 0}, {50 * time.Millisecond, 2 * time.Second}, {time.Microsecond, time.Hour}}
	var now time.Duration
	admitted := 0
	for range 200_000 {
		now += time.Duration(r.Int64N(int64(2 * time.Millisecond)))
		i := r.IntN(len(keys))
		key, p := keys[i], paces[i%len(paces)]
		got, want := table.Wait(key, now, p), model.wait(key, now, p)
		if got != want {
			t.Fatalf("key %x at %v: wait %v, want %v", key, now, got, want)
		}
		if got == 0 {
			table.Put(key, now, p)
			model.put(key, now, p)
			admitted++
		}
	}
	if admitted == 0 || admitted == 200_000 {
		t.Errorf("%d were admitted: the test says nothing", admitted)
	}
}

// A table far too small never lets a key have more than a map of all keys would, also when it grows later.
func TestEvictionNeverEmptiesABucket(t *testing.T) {
	r := source(t)
	budget := limits.NewBudget(0)
	keys, table, model := someKeys(r, 5000), NewTable(budget), exact{}
	p := Pace{Each: time.Second, Burst: 20 * time.Second}
	var now time.Duration
	stricter := 0
	for i := range 300_000 {
		if i%100_000 == 50_000 {
			budget.Return(1 << 10) // room for one more doubling of most shards
		}
		now += time.Duration(r.Int64N(int64(400 * time.Microsecond)))
		key := keys[int(float64(len(keys))*r.Float64()*r.Float64())]
		got, want := table.Wait(key, now, p), model.wait(key, now, p)
		if got < want {
			t.Fatalf("step %d, key %x at %v: wait %v, less than %v", i, key, now, got, want)
		}
		if got > want {
			stricter++
		}
		if got == 0 {
			table.Put(key, now, p)
			model.put(key, now, p)
		}
	}
	evicted := 0
	for i := range table.shards {
		if table.shards[i].evicted {
			evicted++
		}
	}
	if stricter == 0 || evicted == 0 {
		t.Errorf("nothing lost its place: %d, in %d shards", stricter, evicted)
	}
}

// A client over its limit calls from thousands of other addresses, to lose its place and begin again.
func TestAnAttackerCannotResetHisBucket(t *testing.T) {
	r := source(t)
	table := NewTable(limits.NewBudget(0))
	p := Pace{Each: time.Second, Burst: 9 * time.Second}
	own := nonzero(r.Uint64())
	for range 10 {
		table.Put(own, 0, p)
	}
	if table.Wait(own, 0, p) == 0 {
		t.Fatal("the bucket isn't full")
	}
	for range 100_000 {
		table.Put(nonzero(r.Uint64()), 0, p)
		if table.Wait(own, 0, p) == 0 {
			t.Fatal("other addresses have emptied the bucket")
		}
	}
}

func TestAMillionClientsFitIn100MB(t *testing.T) {
	r := source(t)
	b := limits.NewBudget(places)
	table := NewTable(b)
	p := Pace{Each: time.Minute, Burst: time.Hour}
	for range 1_000_000 {
		table.Put(nonzero(r.Uint64()), 0, p)
	}
	size, filled := 0, 0
	for i := range table.shards {
		size += len(table.shards[i].sets) * ways * 16
		for _, s := range table.shards[i].sets {
			for _, at := range s {
				if at.key != 0 {
					filled++
				}
			}
		}
	}
	t.Logf("%d MB for %d clients", size>>20, filled)
	if size > 100<<20 || filled < 999_000 {
		t.Errorf("%d MB for %d clients", size>>20, filled)
	}
	table.Drop()
	if !b.Take(places) {
		t.Errorf("not all of the %d places came back", places)
	}
}

func TestOpenCountsUpToItsMost(t *testing.T) {
	var o Open
	for i := range 5 {
		if got := o.Enter(7, 3); got != (i < 3) {
			t.Errorf("number %d entered: %v", i, got)
		}
	}
	if !o.Enter(8, 1) {
		t.Error("another key has no place")
	}
	o.Leave(7)
	if !o.Enter(7, 3) {
		t.Error("a place that was left isn't free")
	}
	for range 3 {
		o.Leave(7)
	}
	o.Leave(8)
	for i := range o.shards {
		if n := len(o.shards[i].count); n != 0 {
			t.Errorf("%d keys are left", n)
		}
	}
}

// BenchmarkTable measures one decision, of few clients and of a million.
func BenchmarkTable(b *testing.B) {
	for _, clients := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			table, keys := NewTable(limits.NewBudget(places)), someKeys(source(b), clients)
			p := Pace{Each: time.Minute, Burst: 1000 * time.Hour}
			for _, k := range keys {
				table.Put(k, 0, p)
			}
			i := 0
			for b.Loop() {
				i = (i + 7919) % len(keys)
				if table.Wait(keys[i], time.Second, p) == 0 {
					table.Put(keys[i], time.Second, p)
				}
			}
		})
	}
}
