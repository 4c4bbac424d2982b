package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// lifeWatch notices at once when a process ends, whether it is a child or not. The zero value watches none.
type lifeWatch struct {
	pid   int
	fd    *os.File
	ended chan struct{} // closed when it has; nil: nothing is watched
	done  chan struct{} // closed when the watch is over
}

// turn watches this process instead. Where the kernel can't (before 5.3), nothing is watched.
func (w *lifeWatch) turn(pid int) {
	if pid == w.pid && w.ended != nil {
		return
	}
	w.stop()
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return
	}
	w.pid, w.fd, w.ended, w.done = pid, os.NewFile(uintptr(fd), "pidfd"), make(chan struct{}), make(chan struct{})
	go func(fd *os.File, ended, done chan struct{}) {
		defer close(done)
		await(fd, ended)
	}(w.fd, w.ended, w.done)
}

// await closes ended once the process of a pidfd has ended, and does nothing more if the file is closed before.
func await(fd *os.File, ended chan<- struct{}) {
	conn, err := fd.SyscallConn()
	if err != nil {
		return
	}
	asked := false
	err = conn.Read(func(uintptr) bool { // a pidfd is readable when its process has ended
		done := asked
		asked = true
		return done
	})
	if err == nil {
		close(ended)
	}
}

// stop watches nothing any more.
func (w *lifeWatch) stop() {
	if w.fd != nil {
		_ = w.fd.Close() // nothing was written
		<-w.done
	}
	*w = lifeWatch{}
}
