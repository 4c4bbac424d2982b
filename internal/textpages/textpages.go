// Package textpages lets go of the pages of the program that a process has used to start.
package textpages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Drop takes the pages of the program's own file out of the process. Those that it goes on to use come back from the
// kernel's cache, each for less than a microsecond. A process of rhumb has all of rhumb's libraries, whose beginnings
// run once, in 20 MB of pages. As long as they are in the process, they count for it, and the kernel can't reuse them.
func Drop() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	ms, err := mappings(f)
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.file != program || !m.clean {
			continue
		}
		_, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
		if errno != 0 {
			return fmt.Errorf("drop pages of %s: %w", program, errno)
		}
	}
	return nil
}

// mapping is a part of a process's memory.
type mapping struct {
	from, to uintptr
	file     string
	clean    bool // all of it is as in the file, and stays so
}

// mappings reads /proc/self/smaps: a line for each mapping, followed by lines of what it has, such as
// "Anonymous: 4 kB" for pages that were written.
func mappings(r io.Reader) (ms []mapping, err error) {
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			return ms, lines.Err()
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		if from, to, ok := strings.Cut(fields[0], "-"); ok && len(fields) >= 5 {
			m := mapping{clean: !strings.Contains(fields[1], "w"), file: strings.Join(fields[5:], " ")}
			if m.from, err = address(from); err == nil {
				m.to, err = address(to)
			}
			if err != nil {
				return nil, err
			}
			ms = append(ms, m)
		} else if fields[0] == "Anonymous:" && fields[1] != "0" && len(ms) > 0 {
			ms[len(ms)-1].clean = false
		}
	}
}

func address(s string) (uintptr, error) {
	n, err := strconv.ParseUint(s, 16, strconv.IntSize)
	return uintptr(n), err
}
