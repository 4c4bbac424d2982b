package compose

import (
	"testing"

	"rhumb"
	"rhumb/compose/internal/convert"
)

func TestARemoteContextIsKeptAsWritten(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://example.com/a/b.git#main:app", "http://example.com/a.tar.gz", "git@example.com:a/b.git",
		"github.com/a/b", "git://example.com/a.git"} {
		for dockerfile, want := range map[string]string{"": "", "Dockerfile": "", "docker/df": "docker/df"} {
			dir := t.TempDir()
			yaml := "services: {web: {build: {context: \"" + url + "\""
			if dockerfile != "" {
				yaml += ", dockerfile: " + dockerfile
			}
			write(t, dir, "compose.yaml", yaml+"}}}")
			p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
			if err != nil {
				t.Errorf("%s: %v", url, told(err))
				continue
			}
			same(t, url, p.Stack.Service("web").Build, &rhumb.Build{Context: url, Dockerfile: want})
			same(t, url, p.Builds["web"], convert.Context{})
			again(t, Options{}, p)
		}
	}
}
