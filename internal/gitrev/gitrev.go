// Package gitrev returns the git revision of a folder.
package gitrev

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"rhumb"
)

const deadline = 5 * time.Second // for each call of git

// Of returns the revision of the repository that contains dir. It is zero without a repository, without a commit, or
// without git. An error means that the repository can't be read; a deployment can go on without its revision.
func Of(ctx context.Context, dir string) (rhumb.Git, error) {
	commit, err := git(ctx, dir, "rev-parse", "--verify", "HEAD")
	if err != nil || commit == "" {
		return rhumb.Git{}, err
	}
	branch, err := git(ctx, dir, "symbolic-ref", "--quiet", "--short", "HEAD") // empty if HEAD is detached
	if err != nil {
		return rhumb.Git{}, err
	}
	changes, err := git(ctx, dir, "status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none")
	if err != nil {
		return rhumb.Git{}, err
	}
	return rhumb.Git{Commit: commit, Branch: branch, Dirty: changes != ""}, nil
}

// git returns the output of a git command, or "" if there is nothing to report.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	// The repository's configuration must not start a program to look for changes.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "core.fsmonitor=false"}, args...)...)
	cmd.Env = environment()
	cmd.WaitDelay = time.Second
	var out, problem limited
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return strings.TrimSpace(out.String()), nil
	case ctx.Err() != nil:
		return "", rhumb.Errorf(rhumb.Timeout, "git revision of %s: git timed out: %w", dir, ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return "", nil
	case strings.Contains(problem.String(), "dubious ownership"):
		return "", rhumb.Errorf(rhumb.Denied, "git revision of %s: the repository belongs to another user", dir).
			WithHint("if you trust it: git config --global --add safe.directory %s", dir)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		if args[0] == "status" { // unlike the others, it fails only if something is wrong
			return "", rhumb.Errorf(rhumb.Internal, "git revision of %s: %s", dir, strings.TrimSpace(problem.String()))
		}
		return "", nil // no repository, or no commit yet
	default:
		return "", rhumb.Errorf(rhumb.Internal, "git revision of %s: %w", dir, err)
	}
}

// environment returns our environment without the variables that point git to another repository. Git sets them when
// it runs a hook.
func environment() []string {
	env := []string{"LC_ALL=C", "GIT_OPTIONAL_LOCKS=0"}
	for _, kv := range os.Environ() {
		switch key, _, _ := strings.Cut(kv, "="); key {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "LC_ALL", "LANG", "LANGUAGE":
		default:
			env = append(env, kv)
		}
	}
	return env
}

// limited keeps only the beginning of what is written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	const most = 64 << 10
	l.Buffer.Write(b[:min(len(b), max(0, most-l.Len()))])
	return len(b), nil
}
