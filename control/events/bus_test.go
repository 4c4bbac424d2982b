package events

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"rhumb"
	"rhumb/sqlite/storetest"
)

// memory is a Store in memory. Append of a stack in blocked waits until that channel is closed.
type memory struct {
	blocked map[string]chan struct{}
	fail    error // of Append

	mu  sync.Mutex
	all []rhumb.Event
}

func (m *memory) Append(_ context.Context, e rhumb.Event) (rhumb.Event, error) {
	if c := m.blocked[e.Stack]; c != nil {
		<-c
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return e, m.fail
	}
	e.ID = int64(len(m.all) + 1)
	m.all = append(m.all, e)
	return e, nil
}

func (m *memory) Events(_ context.Context, f rhumb.EventFilter) ([]rhumb.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []rhumb.Event
	for _, e := range m.all {
		if e.ID > f.After && matches(f, e) && !e.At.Before(f.Since) {
			list = append(list, e)
		}
	}
	if f.Limit > 0 {
		list = list[max(0, len(list)-f.Limit):]
	}
	return list, nil
}

func newBus(s Store) *Bus { return New(s, slog.New(slog.DiscardHandler)) }

// followed starts a follower and returns a function that returns the texts of the events it has received so far.
func followed(t *testing.T, b *Bus, f rhumb.EventFilter) func() []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var texts []string
	var all sync.WaitGroup
	f.Follow = true
	all.Go(func() {
		for e, err := range b.Events(ctx, f) {
			mu.Lock()
			if texts = append(texts, e.Text); err != nil {
				t.Error(err)
			}
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(texts)
	}
}

func TestABlockedAppendHoldsUpNoOtherStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := make(chan struct{})
		s := &memory{blocked: map[string]chan struct{}{"slow": disk}}
		b := newBus(s)
		all, shop := followed(t, b, rhumb.EventFilter{}), followed(t, b, rhumb.EventFilter{Stack: "shop"})
		announce := func(stack, text string, kind rhumb.EventKind) {
			b.Announce(t.Context(), rhumb.Event{Kind: kind, Stack: stack, Text: text})
		}
		var slow sync.WaitGroup
		slow.Go(func() {
			announce("slow", "s1", rhumb.EventReady)
			announce("slow", "s2", rhumb.EventReady)
		})
		synctest.Wait()
		announce("shop", "a", rhumb.EventReady)
		synctest.Wait() // an unstored event overtakes stored ones that are still to be read
		announce("shop", "b", rhumb.EventPull)
		announce("shop", "c", rhumb.EventReady)
		late := followed(t, b, rhumb.EventFilter{}) // joins while the append is blocked
		announce("shop", "d", rhumb.EventReady)
		is := func(what string, got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		is("a follower of the other stack", shop(), "a", "b", "c", "d")
		is("a follower of all stacks", all(), "a", "b", "c", "d")
		is("a late follower", late(), "a", "c", "d")
		var read []string
		for e := range b.Events(t.Context(), rhumb.EventFilter{Stack: "shop"}) {
			read = append(read, e.Text)
		}
		is("a reader", read, "a", "c", "d")
		close(disk)
		slow.Wait()
		is("once the disk is back", all(), "a", "b", "c", "d", "s1", "s2")
		is("a late follower then", late(), "a", "c", "d", "s1", "s2")
		is("the other stack then", shop(), "a", "b", "c", "d")
	})
}

func TestAFollowerSeesEventsThatCouldNotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{}
		b := newBus(s)
		got := followed(t, b, rhumb.EventFilter{Stack: "shop"})
		for i, fail := range []error{nil, rhumb.Errorf(rhumb.Unavailable, "the disk is full"), nil} {
			s.mu.Lock()
			s.fail = fail
			s.mu.Unlock()
			b.Announce(t.Context(), rhumb.Event{Kind: rhumb.EventReady, Stack: "shop", Text: fmt.Sprint(i)})
			if texts := got(); len(texts) != i+1 || texts[i] != fmt.Sprint(i) {
				t.Errorf("after event %d: %q", i, texts)
			}
		}
	})
}

func TestASlowFollowerMissesNoStoredEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(&memory{})
		const count = 3 * backlog
		next := make(chan struct{})
		var got []int64
		var all sync.WaitGroup
		all.Go(func() {
			for e, err := range b.Events(t.Context(), rhumb.EventFilter{Follow: true}) {
				if err != nil {
					t.Error(err)
				}
				<-next
				if got = append(got, e.ID); len(got) == count {
					return
				}
			}
		})
		synctest.Wait()
		for range count {
			b.Announce(t.Context(), rhumb.Event{Kind: rhumb.EventReady, Stack: "shop"})
		}
		close(next)
		all.Wait()
		for i, id := range got {
			if id != int64(i+1) {
				t.Fatalf("event %d has the ID %d", i+1, id)
			}
		}
	})
}

// Several stacks announce events side by side, and followers join at any moment.
func TestEveryFollowerSeesEachEventOnceInOrder(t *testing.T) {
	for name, open := range map[string]func(*testing.T) Store{
		"memory": func(*testing.T) Store { return &memory{} },
		"sqlite": func(t *testing.T) Store { return storetest.Open(t) },
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			crowd(t, open(t), rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

const (
	stacks = 4
	each   = 12 // events of a stack
)

// crowd checks the followers of a crowd of announcers: one for each stack, and a last one that ends all followers.
func crowd(t *testing.T, s Store, random *rand.Rand) {
	b := newBus(s)
	var announcers, followers sync.WaitGroup
	for i := range stacks {
		announcers.Go(func() {
			for n := range each {
				b.Announce(t.Context(), rhumb.Event{Kind: rhumb.EventReady, Stack: fmt.Sprint(i), Slot: n + 1})
			}
		})
	}
	for range 20 {
		f := rhumb.EventFilter{Follow: true, After: random.Int64N(stacks * each)}
		if random.IntN(2) == 0 {
			f.Stack = fmt.Sprint(random.IntN(stacks))
		}
		followers.Go(func() { follow(t, b, f) })
	}
	announcers.Wait()
	for i := range stacks {
		b.Announce(t.Context(), rhumb.Event{Kind: rhumb.EventReady, Stack: fmt.Sprint(i), Text: "end"})
	}
	followers.Wait()
}

// follow compares what a follower receives with what the store has in the end.
func follow(t *testing.T, b *Bus, f rhumb.EventFilter) {
	var got []int64
	slot := map[string]int{} // the last one, by stack
	ends := 0
	for e, err := range b.Events(t.Context(), f) {
		if err != nil {
			t.Error(err)
			return
		}
		got = append(got, e.ID)
		if e.Text == "end" {
			if ends++; ends == stacks || f.Stack != "" {
				break
			}
			continue
		}
		if e.Slot <= slot[e.Stack] {
			t.Errorf("%+v: event %d of stack %s came after event %d", f, e.Slot, e.Stack, slot[e.Stack])
		}
		slot[e.Stack] = e.Slot
	}
	var want []int64
	f.Follow = false
	for e := range b.Events(t.Context(), f) {
		want = append(want, e.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v: got the IDs %v, want %v", f, got, want)
	}
}
