package measure

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/internal/disk"
)

// space measures how full the file systems of folders are.
type space struct {
	folders []string
	board   *board
	log     *slog.Logger
	look    func(folder string) (filled, error)
	looks   map[string]chan filled // by folder: those that go on
	failing map[string]bool        // by folder
}

// filled is how full a file system is.
type filled struct {
	disk.Usage
	device uint64 // the file system
	err    error
}

// lookTimeout is how long a look at one folder may take. A file system of a server that is away may not answer at all.
const lookTimeout = 3 * time.Second

func newSpace(folders []string, b *board, log *slog.Logger) *space {
	return &space{folders: folders, board: b, log: log, look: lookAtFolder, looks: map[string]chan filled{},
		failing: map[string]bool{}}
}

// sample measures the file systems. Where several folders have the same one, the first counts.
func (s *space) sample(ctx context.Context, at time.Time) {
	have := map[uint64]bool{}
	for _, folder := range s.folders {
		f, ok := s.filled(ctx, folder)
		if !ok || have[f.device] {
			continue
		}
		have[f.device] = true
		s.board.set(float64(f.Usable), "rhumb_node_disk_bytes", "path", folder)
		s.board.set(float64(f.Usable-f.Used), "rhumb_node_disk_available_bytes", "path", folder)
		if f.Inodes > 0 {
			s.board.set(float64(f.Inodes), "rhumb_node_disk_inodes", "path", folder)
			s.board.set(float64(f.Free), "rhumb_node_disk_inodes_free", "path", folder)
		}
	}
	s.board.publish(ctx, at)
}

// filled looks at a folder, unless the last look goes on. No goroutine waits for a look that hangs: nothing can end it.
func (s *space) filled(ctx context.Context, folder string) (filled, bool) {
	look := s.looks[folder]
	if look == nil {
		look = make(chan filled, 1)
		s.looks[folder] = look
		go func() {
			f, err := s.look(folder)
			f.err = err
			look <- f
		}()
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	f := filled{}
	select {
	case f = <-look:
		delete(s.looks, folder)
	case <-ctx.Done():
		f.err = ctx.Err()
	}
	if f.err != nil && !s.failing[folder] {
		s.log.Warn("file system not measured", "folder", folder, "err", f.err)
	}
	s.failing[folder] = f.err != nil
	return f, f.err == nil
}

func lookAtFolder(folder string) (filled, error) {
	var s unix.Stat_t
	if err := unix.Stat(folder, &s); err != nil {
		return filled{}, err
	}
	u, err := disk.Look(folder)
	return filled{Usage: u, device: s.Dev}, err
}
