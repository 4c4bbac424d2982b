package compose

import (
	"maps"
	"strings"
	"testing"

	"rhumb"
)

func TestTheValuesOfARawEnvFileAreLiteral(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "raw.env", "\ufeff# a remark\n\n  A=\"quoted\" $HOME # kept\r\nB=\nFROM_SHELL\nNOWHERE\nC=x=y\n")
	write(t, dir, "compose.yaml", "services: {web: {image: x, env_file: [{path: raw.env, format: raw}]}}")
	p, err := Load(t.Context(), Options{Dir: dir, Environ: []string{"FROM_SHELL=here", "HOME=/root"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": `"quoted" $HOME # kept`, "B": "", "FROM_SHELL": "here", "C": "x=y"}
	if got := p.Stack.Service("web").Container.Env; !maps.Equal(got, want) {
		t.Errorf("the environment is %q", got)
	}
}

func TestMistakesInEnvFilesHaveTheirLine(t *testing.T) {
	for _, tc := range []struct{ content, format, want string }{
		{"A=1\nB C=2\n", "raw", `raw.env:2: not an env file: the name "B C" has a space`},
		{"\n=2\n", "raw", "raw.env:2: not an env file: the name is missing"},
		{"A=\xff\n", "raw", "raw.env:1: not an env file: it isn't UTF-8"},
		{"A=1\n", "toml", `compose.yaml:1: web.env_file[0].format: unknown format "toml"`},
	} {
		dir := t.TempDir()
		write(t, dir, "raw.env", tc.content)
		write(t, dir, "compose.yaml", "services: {web: {image: x, env_file: [{path: raw.env, format: "+tc.format+"}]}}")
		_, err := Load(t.Context(), Options{Dir: dir})
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%q gives %v, want %s", tc.content, err, tc.want)
		}
	}
}

func FuzzRawEnvFiles(f *testing.F) {
	f.Add([]byte("A=1\nB\n#c\n D = x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := newEnvFile("f", func(k string) (string, bool) { return "v", len(k)%2 == 0 }, map[string]string{})
		file.readRaw(b)
		for name, value := range file.vars {
			if name == "" || strings.ContainsAny(name, "= \t\n") || strings.Contains(value, "\n") {
				t.Errorf("%q=%q", name, value)
			}
		}
	})
}
