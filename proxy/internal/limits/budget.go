package limits

import (
	"net/netip"
	"sync/atomic"
)

// Budget is how much of something may be lent in all. The zero value has nothing.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of n.
func NewBudget(n int64) *Budget {
	b := &Budget{}
	b.left.Store(n)
	return b
}

// Take lends n, and reports whether there was as much. Return takes it back.
func (b *Budget) Take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

// Return takes back what was lent.
func (b *Budget) Return(n int64) { b.left.Add(n) }

// OfClient returns the address by which a client is counted: of IPv6 its network of 64 bits, which is most often one
// customer's.
func OfClient(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}
