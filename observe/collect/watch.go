package collect

import (
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/internal/pause"
)

// gather is how long the watch waits after events, so that one look answers many of them.
const gather = 10 * time.Millisecond

// watch reports changes in folders. It begins with the first folder.
type watch struct {
	log   *slog.Logger
	begin func() error  // once
	begun chan struct{} // closed when file is set
	file  *os.File      // the inotify instance

	mu      sync.Mutex
	folders map[int32]map[*func(rotated bool)]bool // by watch descriptor
}

func newWatch(log *slog.Logger) *watch {
	w := &watch{log: log, begun: make(chan struct{}), folders: map[int32]map[*func(bool)]bool{}}
	w.begin = sync.OnceValue(func() error {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			log.Warn("log files can't be watched, polling them", "err", err)
			return os.NewSyscallError("inotify_init1", err)
		}
		w.file = os.NewFile(uintptr(fd), "inotify")
		close(w.begun)
		return nil
	})
	return w
}

// add calls changed whenever a file in a folder is written, with rotated if one was created or renamed. It returns
// what ends that, or an error if the folder can't be watched.
func (w *watch) add(folder string, changed *func(rotated bool)) (stop func(), err error) {
	if err := w.begin(); err != nil {
		return nil, err
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wd := 0
	if ctl := raw.Control(func(fd uintptr) {
		wd, err = unix.InotifyAddWatch(int(fd), folder,
			unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	}); ctl != nil {
		return nil, ctl
	}
	if err != nil {
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	key := int32(wd)
	if w.folders[key] == nil {
		w.folders[key] = map[*func(bool)]bool{}
	}
	w.folders[key][changed] = true
	return func() { w.remove(key, changed) }, nil
}

func (w *watch) remove(wd int32, changed *func(bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.folders[wd], changed)
	if len(w.folders[wd]) > 0 || w.folders[wd] == nil {
		return
	}
	delete(w.folders, wd)
	raw, err := w.file.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		_, _ = unix.InotifyRmWatch(int(fd), uint32(wd)) // the folder may be gone
	})
}

// run reports changes until ctx ends.
func (w *watch) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-w.begun:
	}
	stop := context.AfterFunc(ctx, func() { _ = w.file.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			if ctx.Err() == nil {
				w.log.Error("log files are no longer watched", "err", err)
			}
			return
		}
		w.report(eventsIn(buf[:n]))
		pause.For(ctx, gather)
	}
}

// eventsIn returns which folders have changed, and whether files were created or renamed there. The descriptor -1
// means that events were lost.
func eventsIn(b []byte) map[int32]bool {
	changed := map[int32]bool{}
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		changed[wd] = changed[wd] || mask&^uint32(unix.IN_MODIFY) != 0
		if size > len(b) {
			break
		}
		b = b[size:]
	}
	return changed
}

func (w *watch) report(changed map[int32]bool) {
	type call struct {
		f       *func(bool)
		rotated bool
	}
	var calls []call
	w.mu.Lock()
	_, lost := changed[-1]
	for wd, folder := range w.folders {
		if rotated, ok := changed[wd]; ok || lost {
			for f := range folder {
				calls = append(calls, call{f, rotated || lost})
			}
		}
	}
	w.mu.Unlock()
	for _, c := range calls {
		(*c.f)(c.rotated)
	}
}
