package measure

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockState is what the kernel knows of its clock.
type clockState struct {
	synchronised bool
	off          time.Duration // at most; it grows until the clock is compared with others again
}

// lookAtClock asks the kernel, and changes nothing.
func lookAtClock() (clockState, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return clockState{}, err
	}
	return clockState{synchronised: t.Status&unix.STA_UNSYNC == 0, off: time.Duration(t.Maxerror) * time.Microsecond}, nil
}
