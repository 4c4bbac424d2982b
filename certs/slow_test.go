package certs

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"rhumb"
)

// slowDisk is a disk on which reading or writing a value with some text takes until it is open.
type slowDisk struct {
	Sealer
	text string
	open chan struct{}
}

func (d *slowDisk) Seal(b []byte) ([]byte, error) {
	d.wait(b)
	return d.Sealer.Seal(b)
}

func (d *slowDisk) Open(sealed []byte) ([]byte, error) {
	b, err := d.Sealer.Open(sealed)
	d.wait(b)
	return b, err
}

func (d *slowDisk) wait(b []byte) {
	if bytes.Contains(b, []byte(d.text)) {
		<-d.open
	}
}

func TestASlowDiskOfOneHostBlocksNoOther(t *testing.T) {
	slow := rhumb.Certificate{Host: "slow.example.com", Source: rhumb.CertGiven, Given: "slow"}
	other := rhumb.Certificate{Host: "app.internal", Source: rhumb.CertInternal}
	for name, c := range map[string]struct {
		text string // of what is slow
		work func(context.Context, *Keeper)
	}{
		"loading": {"slow pair", func(ctx context.Context, k *Keeper) { k.Manage(ctx, tableOf(other, slow)) }},
		"recording a failure": {"no ACME authority", func(ctx context.Context, k *Keeper) {
			h := &host{spec: rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertACME}, busy: true}
			k.orders++
			k.get(ctx, h)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				disk := &slowDisk{Sealer: newBox(t, dir), text: c.text, open: make(chan struct{})}
				k := New(Options{Dir: dir, Box: disk})
				if err := newStorage(dir, disk.Sealer).Store(t.Context(), pairsKey+"/slow", []byte("a slow pair")); err != nil {
					t.Fatal(err)
				}
				k.Manage(t.Context(), tableOf(other))
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.work(t.Context(), k)
				}()
				synctest.Wait()
				select {
				case <-done:
					t.Fatal("nothing was slow, so this test proves nothing")
				default:
				}
				if !k.mu.TryLock() {
					close(disk.open)
					t.Fatal("the lock is held over the disk")
				}
				h := k.hosts[other.Host]
				k.mu.Unlock()

				k.get(t.Context(), h)
				if st := k.Status(); !k.Good(other.Host) || len(st) != 1 || st[0].NotAfter.IsZero() {
					t.Errorf("the other host's certificate isn't served: %+v", st)
				}
				k.Rest()
				close(disk.open)
				<-done
			})
		})
	}
}
