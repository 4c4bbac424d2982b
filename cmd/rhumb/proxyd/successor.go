package proxyd

import (
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// A proxy under systemd is replaced by "systemctl reload", which runs "rhumb proxy --succeed" in the proxy's service.
// The successor has to be systemd's own child, or systemd would not notice its end. So --succeed starts "--orphan",
// which starts the successor and ends. A pipe that the successor inherits closes when the successor dies early.

// StartTime is how long a started proxy has until it must answer.
const StartTime = 10 * time.Second

// Succeed starts the same command without its flag, and waits until the successor serves. With orphan it doesn't wait.
func Succeed(ctx context.Context, orphan bool, socket string) error {
	if orphan {
		cmd, err := again("")
		if err != nil {
			return err
		}
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "life")}
		if err := cmd.Start(); err != nil {
			return rhumb.Errorf(rhumb.Internal, "the successor can't be started: %w", err)
		}
		return nil // don't wait: it is systemd's child from now on
	}
	router := proxy.Dial(socket)
	before, err := router.Status(ctx)
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "no proxy answers at %s: %w", socket,
			err).WithHint("start it: systemctl start rhumb-proxy")
	}
	died, err := startOrphan(ctx)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, died)
	}()
	defer func() {
		died.Close()
		<-ended
	}()
	return awaitSuccessor(ctx, router, before.PID, ended)
}

// startOrphan returns a pipe that closes when the successor ends.
func startOrphan(ctx context.Context) (*os.File, error) {
	died, life, err := os.Pipe()
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "the successor can't be started: %w", err)
	}
	defer life.Close()
	cmd, err := again("--orphan")
	if err == nil {
		cmd.ExtraFiles = []*os.File{life}
		err = cmd.Run()
	}
	if err != nil {
		died.Close()
		return nil, rhumb.Errorf(rhumb.Internal, "the successor can't be started: %w", err)
	}
	return died, ctx.Err()
}

// awaitSuccessor returns nil once a process other than old serves.
func awaitSuccessor(ctx context.Context, router rhumb.Router, old int, ended <-chan struct{}) error {
	late := time.After(StartTime)
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if st, err := router.Status(ctx); err == nil && st.PID != old {
				return nil
			}
		case <-ended:
			return rhumb.Errorf(rhumb.Unavailable,
				"the successor ended at once; the old proxy goes on").WithHint("its log says why: journalctl -u rhumb-proxy")
		case <-late:
			return rhumb.Errorf(rhumb.Timeout, "the successor doesn't serve after %s; the old proxy goes on",
				StartTime)
		}
	}
}

// again returns this command with another flag in the place of --succeed or --orphan.
func again(flag string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "the successor can't be started: %w", err)
	}
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]),
		func(arg string) bool { return arg == "--succeed" || arg == "--orphan" })
	if flag != "" {
		args = append(args, flag)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}
