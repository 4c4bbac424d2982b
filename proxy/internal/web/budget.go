package web

import "sync/atomic"

// budget is how many bytes of memory may be lent.
type budget struct{ left atomic.Int64 }

// bufferBudget is how many bytes all buffered bodies may have together. Others then pass as they come.
const bufferBudget = 64 << 20

// take lends n bytes, and reports whether there were as many. add returns them.
func (b *budget) take(n int64) bool {
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

func (b *budget) add(n int64) { b.left.Add(n) }
