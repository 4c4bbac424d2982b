// Package disk tells how full file systems are.
package disk

import "golang.org/x/sys/unix"

// Usage is how much of a file system is used. Used and Usable are bytes; what only root may use counts as neither.
type Usage struct {
	Used, Usable uint64
	Inodes, Free uint64 // 0 of both: the file system has no fixed number of them
}

// Look looks at the file system of a folder.
func Look(path string) (Usage, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Usage{}, err
	}
	block := uint64(s.Bsize)
	used := (s.Blocks - s.Bfree) * block
	return Usage{Used: used, Usable: used + s.Bavail*block, Inodes: s.Files, Free: s.Ffree}, nil
}

// Space gives the percentage of the bytes that are used, rounded up as df does.
func (u Usage) Space() int { return Percent(u.Used, u.Usable) }

// Nodes gives the percentage of the inodes that are used, rounded up.
func (u Usage) Nodes() int { return Percent(u.Inodes-min(u.Free, u.Inodes), u.Inodes) }

// Percent gives how much of the whole is used, rounded up: a full disk isn't 99% full. Of nothing, nothing is used.
func Percent(part, whole uint64) int {
	if whole == 0 || part == 0 {
		return 0
	}
	return int((float64(min(part, whole))*100)/float64(whole) + 0.999)
}
