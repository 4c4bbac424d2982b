package proxyd

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/waf"
	"rhumb/waf/crs"
)

// InspectorName is the command of the process that looks at requests for attacks.
const InspectorName = "waf"

// Bounds of that process. Half of the cores are left to the proxy, which has precedence on the others too.
const (
	inspectorMemory = 2 * rhumb.WAFMemory // from which on it collects garbage at any cost
	inspectorNice   = 5
	inspectorFiles  = 256
	inspectorOOM    = "500" // the kernel ends it before the proxy when memory is short
)

// inspector returns the command of the process, which runs the same program. The file may have been replaced meanwhile.
// The environment of the proxy may have secrets, and isn't for it.
func inspector() *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", InspectorName)
	cmd.Args[0] = "rhumb"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the proxy, which finishes its requests
	return cmd
}

// RunInspector looks at requests for attacks until the proxy that has started the process ends the connection.
func RunInspector(ctx context.Context) error {
	file := os.NewFile(3, "waf")
	conn, err := net.FileConn(file)
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "only the proxy starts this command: %w", err)
	}
	file.Close()
	cores := max(1, runtime.NumCPU()/2)
	runtime.GOMAXPROCS(cores)
	debug.SetMemoryLimit(inspectorMemory)
	bound()
	engine, err := crs.New()
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // reading the rules takes twice what they need
	return waf.Serve(ctx, conn, engine, cores)
}

// bound limits the process. What can't be set isn't needed to work.
func bound() {
	threads, _ := os.ReadDir("/proc/self/task") // a thread begins with the priority of the one that started it
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, inspectorNice)
		}
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: inspectorFiles, Max: inspectorFiles})
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(inspectorOOM), 0o644)
}
