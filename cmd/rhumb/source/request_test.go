package source

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"rhumb"
	"rhumb/compose"
)

// oldServer is a server with an old engine. It counts the builds.
type oldServer struct{ builds int }

func (s *oldServer) Info(context.Context) (rhumb.ServerInfo, error) {
	return rhumb.ServerInfo{Engine: rhumb.EngineInfo{Version: "20.10.24", APIVersion: "1.41"}}, nil
}

func (s *oldServer) Build(context.Context, rhumb.BuildRequest, io.Reader,
	func(rhumb.BuildProgress)) (rhumb.Image, error) {
	s.builds++
	return rhumb.Image{ID: "sha256:1"}, nil
}

func TestNothingIsBuiltForAnEngineThatIsTooOld(t *testing.T) {
	for _, c := range []struct {
		more   string
		code   rhumb.Code
		builds int
	}{
		{"", "", 1},
		{"  other:\n    image: x\n    annotations: {a: b}\n", rhumb.Unsupported, 0},
	} {
		dir := t.TempDir()
		file := "name: shop\nservices:\n  web:\n    build: .\n" + c.more
		for name, text := range map[string]string{"compose.yaml": file, "Dockerfile": "FROM scratch\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, err := compose.Load(t.Context(), compose.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s := &oldServer{}
		_, err = Request(t.Context(), s, p, func(string) {}, func(rhumb.BuildProgress) {})
		if rhumb.ErrorCode(err) != c.code || s.builds != c.builds {
			t.Errorf("%q: %v, %d builds; want %q, %d builds", c.more, err, s.builds, c.code, c.builds)
		}
	}
}
