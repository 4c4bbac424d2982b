package gitrev_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
	"rhumb/internal/gitrev"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git",
		append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"},
			args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func repository(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	write(t, filepath.Join(dir, "a"), "1")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, dir string, want rhumb.Git) {
	t.Helper()
	got, err := gitrev.Of(t.Context(), dir)
	if err != nil || got != want {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestARevisionHasCommitBranchAndChanges(t *testing.T) {
	dir := repository(t)
	commit := git(t, dir, "rev-parse", "HEAD")
	want(t, dir, rhumb.Git{Commit: commit, Branch: "main"})
	write(t, filepath.Join(dir, "a"), "2")
	want(t, dir, rhumb.Git{Commit: commit, Branch: "main", Dirty: true})
	git(t, dir, "checkout", "-q", "a")
	write(t, filepath.Join(dir, "new"), "untracked")
	want(t, dir, rhumb.Git{Commit: commit, Branch: "main", Dirty: true})
	write(t, filepath.Join(dir, ".git", "info", "exclude"), "new\n")
	git(t, dir, "checkout", "-q", "--detach")
	want(t, dir, rhumb.Git{Commit: commit})
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	want(t, sub, rhumb.Git{Commit: commit})
}

func TestTheRevisionIsZeroWithoutRepositoryCommitOrGit(t *testing.T) {
	want(t, t.TempDir(), rhumb.Git{})
	want(t, filepath.Join(t.TempDir(), "none"), rhumb.Git{})
	dir := repository(t)
	empty := t.TempDir()
	git(t, empty, "init", "-q")
	want(t, empty, rhumb.Git{})
	t.Setenv("PATH", t.TempDir())
	want(t, dir, rhumb.Git{})
}

func TestTheOriginIsTheSameInAllClones(t *testing.T) {
	dir := repository(t)
	origin := func(dir string) string {
		t.Helper()
		got, err := gitrev.Origin(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := origin(dir) + origin(t.TempDir()); got != "" {
		t.Errorf("without a remote: %q", got)
	}
	git(t, dir, "remote", "add", "backup", "https://elsewhere.example/x")
	git(t, dir, "remote", "add", "origin", "x")
	for remote, want := range map[string]string{
		"https://github.com/acme/shop.git":               "github.com/acme/shop",
		"https://ci-token:hunter2@GitHub.com/acme/shop/": "github.com/acme/shop",
		"git@github.com:acme/shop.git":                   "github.com/acme/shop",
		"github.com:acme/shop":                           "github.com/acme/shop",
		"ssh://git@github.com:22/acme/shop.git":          "github.com/acme/shop",
		"/srv/git/shop.git":                              "",
		"file:///srv/git/shop.git":                       "",
		"../shop":                                        "",
	} {
		git(t, dir, "remote", "set-url", "origin", remote)
		if got := origin(dir); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
	git(t, dir, "remote", "set-url", "origin", "github.com:acme/shop")
	sub := filepath.Join(dir, "deploy", "app")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := origin(sub); got != "github.com/acme/shop/deploy/app" {
		t.Errorf("in a folder: %q", got)
	}
}

func TestTheVariablesOfAGitHookAreIgnored(t *testing.T) {
	dir, other := repository(t), repository(t)
	commit := git(t, dir, "rev-parse", "HEAD")
	write(t, filepath.Join(other, "a"), "dirty")
	t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
	t.Setenv("GIT_WORK_TREE", other)
	want(t, dir, rhumb.Git{Commit: commit, Branch: "main"})
}

func TestARepositoryOfAnotherUserIsAnErrorWithAHint(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to give a folder away")
	}
	dir := repository(t)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	t.Setenv("SUDO_UID", "")
	if err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, 12345, 12345)
	}); err != nil {
		t.Fatal(err)
	}
	_, err := gitrev.Of(t.Context(), dir)
	if rhumb.ErrorCode(err) != rhumb.Denied || !strings.Contains(rhumb.ErrorHint(err), "safe.directory "+dir) {
		t.Fatalf("got %v, hint %q", err, rhumb.ErrorHint(err))
	}
}
