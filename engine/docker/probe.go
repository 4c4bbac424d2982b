package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/observed"
)

const (
	probeOutput  = 4 << 10
	probeTimeout = 30 * time.Second // the engine's own default
	firstWait    = time.Millisecond
	lastWait     = 50 * time.Millisecond
)

// Probe runs a health check once inside a replica. A check that takes longer than its timeout is killed with all its
// children.
func (cs *commands) Probe(ctx context.Context, id string, check rhumb.Healthcheck) error {
	look, cancelLook := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancelLook()
	c, err := cs.Container(look, id)
	if err != nil {
		return err
	}
	command, err := checkCommand(c.Config.Shell, check.Test)
	if err != nil || command == nil {
		return err
	}
	if check.Timeout <= 0 {
		check.Timeout = probeTimeout
	}
	probing, cancel := context.WithTimeout(ctx, check.Timeout)
	defer cancel()
	run, err := cs.API.ExecCreate(probing, c.ID, client.ExecCreateOptions{Cmd: command, AttachStdout: true,
		AttachStderr: true})
	if err != nil {
		return cs.failure(err, observed.Name(c))
	}
	var out limited
	code, err := cs.probe(probing, run.ID, &out)
	switch {
	case err == nil && code == 0:
		return nil
	case err == nil:
		return rhumb.Errorf(rhumb.Internal, "%s", out.text(fmt.Sprintf("exit code %d", code)))
	}
	after, cancelAfter := context.WithTimeout(context.WithoutCancel(ctx), conn.CleanTimeout)
	defer cancelAfter()
	cs.kill(after, c.ID, run.ID)
	if errors.Is(probing.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return rhumb.Errorf(rhumb.Timeout, "%s", out.text("")+fmt.Sprintf("health check took longer than %v and was killed",
			check.Timeout))
	}
	return cs.Fail(err, "probe "+observed.Name(c))
}

// probe runs a prepared check to its end and returns its exit code.
func (cs *commands) probe(ctx context.Context, run string, out *limited) (int, error) {
	attached, err := cs.API.ExecAttach(ctx, run, client.ExecAttachOptions{})
	if err != nil {
		return 0, err
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	if _, err := stdcopy.StdCopy(out, out, attached.Reader); err != nil {
		return 0, errors.Join(ctx.Err(), err)
	}
	state, err := cs.ended(ctx, run)
	return state.ExitCode, err
}

// checkCommand returns the command of a check; nil if there is no check. shell is the SHELL of the image's Dockerfile;
// nil: /bin/sh. As the engine does, it appends all words of a CMD-SHELL check to the shell's. The words after the first
// are $0, $1 and so on.
func checkCommand(shell, test []string) ([]string, error) {
	if len(test) == 0 || test[0] == "NONE" {
		return nil, nil
	}
	switch {
	case test[0] == "CMD" && len(test) > 1:
		return test[1:], nil
	case test[0] == "CMD-SHELL" && len(test) > 1 && len(shell) > 0:
		return slices.Concat(shell, test[1:]), nil
	case test[0] == "CMD-SHELL" && len(test) > 1:
		return append([]string{"/bin/sh", "-c"}, test[1:]...), nil
	}
	return nil, rhumb.Errorf(rhumb.Invalid, "health check %q is not CMD, CMD-SHELL or NONE", test)
}

// limited keeps the beginning of what is written to it and drops the rest.
type limited struct{ b bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := probeOutput - l.b.Len(); room > 0 {
		l.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// text returns the output without surrounding space, or empty if there is none.
func (l *limited) text(empty string) string {
	s := strings.TrimSpace(strings.ToValidUTF8(l.b.String(), "\uFFFD"))
	if s == "" {
		return empty
	}
	if empty == "" {
		return s + "\n"
	}
	return s
}
