package build

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// repository serves a git repository with those files over HTTP. It returns its URL and a function that commits a
// change.
func repository(t *testing.T, files map[string]string) (url string, commit func(files map[string]string)) {
	t.Helper()
	dir := tree(t, files)
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git",
			append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	commit = func(files map[string]string) {
		t.Helper()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git("add", "-A")
		git("commit", "-q", "-m", "x")
	}
	git("init", "-q", "-b", "main")
	commit(nil)
	backend := &cgi.Handler{Path: filepath.Join(git("--exec-path"), "git-http-backend"), Dir: dir,
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}}
	s := httptest.NewServer(http.StripPrefix("/repo.git", backend))
	t.Cleanup(s.Close)
	return s.URL + "/repo.git", commit
}

func TestTheEngineFetchesAGitContextItself(t *testing.T) {
	w := newWorkshop(t)
	salt := w.stack + time.Now().String()
	url, commit := repository(t,
		map[string]string{"Dockerfile": "FROM scratch\nCOPY a.txt /root.txt\n", "a.txt": "root " + salt,
			"app/Dockerfile": "FROM scratch\nCOPY a.txt /app.txt\n", "app/a.txt": "app " + salt,
			"app/other.df": "FROM scratch\nCOPY a.txt /other.txt\n",
			"app/wrong.df": "FROM scratch\nCOPY none /\n"})
	build := func(context, dockerfile string) (rhumb.Image, error) {
		r := w.request("web")
		r.Build = rhumb.Build{Context: context, Dockerfile: dockerfile}
		r.Name = RemoteName(w.stack, "web", context)
		img, err := w.builder.Build(t.Context(), r, strings.NewReader("nothing reads this"), nil)
		if err == nil {
			w.made = append(w.made, r.Name)
		}
		return img, err
	}
	for _, tc := range []struct{ fragment, dockerfile, want string }{
		{"", "", "root.txt"}, {"#main", "", "root.txt"}, {"#:app", "", "app.txt"}, {"#main:./app/", "", "app.txt"},
		{"#main:app", "", "app.txt"}, {"#main:app", "other.df", "other.txt"},
	} {
		img, err := build(url+tc.fragment, tc.dockerfile)
		if err != nil {
			t.Fatalf("%s: %v", tc.fragment, err)
		}
		if c := w.content(img.Ref); !strings.Contains(string(c), tc.want) || !strings.Contains(string(c), salt) {
			t.Errorf("%s: %s isn't in the image", tc.fragment, tc.want)
		}
	}
	one, err := build(url+"#main", "")
	if err != nil {
		t.Fatal(err)
	}
	if two, err := build(url+"#main", ""); err != nil || two.ID != one.ID || two.Ref != one.Ref {
		t.Errorf("built again: %v, %v, first %v", two, err, one)
	}
	commit(map[string]string{"a.txt": "changed " + salt})
	if three, err := build(url+"#main", ""); err != nil || three.ID == one.ID || three.Ref != one.Ref {
		t.Errorf("built after a commit: %v, %v, first %v", three, err, one)
	}
	refusesWrongGitContexts(t, url, build)
}

func refusesWrongGitContexts(t *testing.T, url string, build func(context, dockerfile string) (rhumb.Image, error)) {
	t.Helper()
	for _, tc := range []struct {
		context, dockerfile, want string
		hinted                    bool
	}{
		{url + "#nowhere", "", "nowhere", true}, {url + "#main:app", "wrong.df", "none", false},
		{url + "#main", "missing.df", "missing.df", false},
		{strings.Replace(url, "/repo.git", "/none.git", 1), "", "build of service web", true},
	} {
		_, err := build(tc.context, tc.dockerfile)
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), tc.want) ||
			rhumb.ErrorHint(err) == "" && tc.hinted {
			t.Errorf("%s %s: got %v (hint: %s)", tc.context, tc.dockerfile, err, rhumb.ErrorHint(err))
		}
	}
}

func TestARemoteImageIsNamedByItsContext(t *testing.T) {
	a, b := RemoteName("shop", "web", "https://x/a.git#main"), RemoteName("shop", "web", "https://x/a.git#next")
	if a == b || a != RemoteName("shop", "web", "https://x/a.git#main") || !strings.HasPrefix(a, "shop-web:remote-") {
		t.Errorf("%s, %s", a, b)
	}
	if _, err := imageNames(rhumb.BuildRequest{Name: a}); err != nil {
		t.Error(err)
	}
}
