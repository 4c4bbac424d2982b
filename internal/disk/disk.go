// Package disk reports how full file systems are.
package disk

import "golang.org/x/sys/unix"

// Usage is how much of a file system is used. Used and Usable are in bytes; space reserved for root counts as
// neither.
type Usage struct {
	Used, Usable uint64
	Inodes, Free uint64 // both 0: the file system has no fixed number of inodes
}

// Look returns the usage of the file system that contains a folder.
func Look(path string) (Usage, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Usage{}, err
	}
	block := uint64(s.Bsize)
	used := (s.Blocks - s.Bfree) * block
	return Usage{Used: used, Usable: used + s.Bavail*block, Inodes: s.Files, Free: s.Ffree}, nil
}

// Space returns the percentage of the bytes in use, rounded up as df does.
func (u Usage) Space() int { return Percent(u.Used, u.Usable) }

// Nodes returns the percentage of the inodes in use, rounded up.
func (u Usage) Nodes() int { return Percent(u.Inodes-min(u.Free, u.Inodes), u.Inodes) }

// Percent returns which percentage of the whole a part is, rounded up, so that a disk at 99.5% is full. If the whole
// is 0 it returns 0.
func Percent(part, whole uint64) int {
	if whole == 0 || part == 0 {
		return 0
	}
	return int((float64(min(part, whole))*100)/float64(whole) + 0.999)
}
