package compose

import (
	"testing"
	"time"

	"rhumb"
)

func TestTheLimitsOfAStacksLogsAreRead(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]rhumb.LogLimits{
		"":                                    {},
		"{}":                                  {},
		"{logs: {}}":                          {},
		"{logs: {keep: 30d, size: 1GB}}":      rhumb.DefaultLogLimits,
		"{logs: {keep: 1d}}":                  {Keep: day},
		"{logs: {keep: 3650d}}":               {Keep: 3650 * day},
		"{logs: {keep: 1h}}":                  {Keep: time.Hour},
		"{logs: {keep: 36h30m}}":              {Keep: 36*time.Hour + 30*time.Minute},
		"{logs: {keep: '${DAYS}d'}}":          {Keep: 7 * day},
		"{logs: {size: 16MB}}":                {Size: 16 << 20},
		"{logs: {size: 16777216}}":            {Size: 16 << 20},
		"{logs: {size: 1.5g}}":                {Size: 3 << 29},
		"{logs: {size: '${SIZE}', keep: 2h}}": {Keep: 2 * time.Hour, Size: 64 << 20},
	} {
		dir := t.TempDir()
		write(t, dir, "compose.yaml", "services: {web: {image: x}}\nx-rhumb: "+text+"\n")
		p, err := Load(t.Context(), Options{Dir: dir, Name: "s", Environ: []string{"DAYS=7", "SIZE=64m"}})
		if err != nil {
			t.Errorf("%q: %v", text, told(err))
		} else if p.Stack.Logs != want {
			t.Errorf("%q is %+v", text, p.Stack.Logs)
		}
	}
}

func TestALaterFileOverridesOneLimitOfLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.yaml", "services: {web: {image: x}}\nx-rhumb: {logs: {keep: 1d, size: 1GB}}\n")
	write(t, dir, "b.yaml", "x-rhumb: {logs: {size: 2GB}}\n")
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s", Files: []string{"a.yaml", "b.yaml"}})
	if err != nil {
		t.Fatal(told(err))
	}
	same(t, "limits", p.Stack.Logs, rhumb.LogLimits{Keep: 24 * time.Hour, Size: 2 << 30})
}

func TestLogSettingsChangeNoSpecHash(t *testing.T) {
	t.Parallel()
	load := func(service, stack string) rhumb.Stack {
		dir := t.TempDir()
		write(t, dir, "compose.yaml", "services:\n  web:\n    image: x\n    ports: ['80:80']\n"+
			"    x-rhumb: {routes: [a.example.com]"+service+"}\nx-rhumb: "+stack+"\n")
		p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
		if err != nil {
			t.Fatal(told(err))
		}
		return p.Stack
	}
	plain, logged := load("", "{}"), load(", access_log: true", "{logs: {keep: 1d}}")
	if !logged.Service("web").AccessLog || plain.Service("web").AccessLog || logged.Logs == plain.Logs {
		t.Fatalf("read as %+v and %+v", plain, logged)
	}
	same(t, "hashes", logged.Specs(), plain.Specs())
}
