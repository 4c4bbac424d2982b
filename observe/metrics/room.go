package metrics

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/internal/disk"
)

// segmentSize is the size of the files in which a block keeps its samples. The library allocates one in advance.
const segmentSize = 16 << 20

// floor is how much Add leaves free: room for the block that is written next.
const floor = 2 * segmentSize

// reserveSize is how much of the disk the reserve holds.
const reserveSize = 16 << 20

// full returns an error if the disk of a folder is full, or nearly.
func full(dir string) error {
	u, err := disk.Look(dir)
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the disk of the metrics can't be read: %w", err)
	}
	if free(u) >= floor && (u.Inodes == 0 || u.Free >= 100) {
		return nil
	}
	return rhumb.Errorf(rhumb.Unavailable, "the disk is full: %s has %d MB free, and metrics leave %d MB",
		dir, free(u)>>20, floor>>20).WithHint("free some, or keep fewer metrics")
}

func free(u disk.Usage) int64 { return int64(u.Usable - u.Used) }

// makeRoom makes sure that the library can read the newest samples, for which it writes chunks_head. If the disk is
// full, it gives up the reserve for that.
func (d folder) makeRoom() error {
	need := sizeOf(d.path("wal")) + 1<<20
	for _, last := range []bool{false, true} {
		u, err := disk.Look(d.path())
		if err != nil {
			return rhumb.Errorf(rhumb.Unavailable, "the disk of the metrics can't be read: %w", err)
		}
		if free(u) >= need {
			return nil
		}
		if last {
			return rhumb.Errorf(rhumb.Unavailable, "the disk is full: %s has %d MB free, and opening the metrics takes %d MB",
				d.path(), free(u)>>20, need>>20).WithHint("free some")
		}
		d.log.Warn("disk full, giving up the reserve", "dir", d.path())
		_ = os.Remove(d.path("reserve")) // the next look shows whether it helped
	}
	return nil
}

// reserve makes the reserve, if it is missing and there is room. Without one the store works too.
func (d folder) reserve() {
	u, err := disk.Look(d.path())
	if err != nil || free(u) < floor+reserveSize {
		return
	}
	f, err := os.OpenFile(d.path("reserve"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if i, err := f.Stat(); err == nil && i.Size() < reserveSize {
		_ = unix.Fallocate(int(f.Fd()), 0, 0, reserveSize)
	}
}

// sizeOf returns how many bytes the files below a folder have.
func sizeOf(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // there may be no such folder yet
		}
		if i, err := d.Info(); err == nil {
			n += i.Size()
		}
		return nil
	})
	return n
}
