// Package arch holds no code: its test keeps the house as docs/architecture.md draws it.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "rhumb"

// pkg is what "go list" tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// listed gives the module's packages and what they import, tests left out.
func listed(t *testing.T) (ours []pkg, standard map[string]bool) {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,Standard", module+"/...")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	standard = map[string]bool{}
	for dec := json.NewDecoder(out); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		standard[p.ImportPath] = p.Standard
		if own(p.ImportPath) {
			ours = append(ours, p)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(ours) < 5 {
		t.Fatalf("go list knows only %d packages of the module", len(ours))
	}
	return ours, standard
}

func own(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// room gives the room that a package is in: the domain is "", an engine's room is the engine.
func room(path string) string {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), "/")
	switch parts[0] {
	case "engine", "internal", "cmd", "test":
		return strings.Join(parts[:min(2, len(parts))], "/")
	}
	return parts[0]
}

// adapter tells whether a room is an adapter: neither the domain, nor its decisions, nor a leaf, nor what wires or tries them all.
func adapter(room string) bool {
	free := []string{"", "rollout", "control", "cmd/rhumb", "bench", "test/e2e"}
	return !slices.Contains(free, room) && !strings.HasPrefix(room, "internal/")
}

func TestTheDomainImportsOnlyTheStandardLibrary(t *testing.T) {
	ours, standard := listed(t)
	for _, p := range ours {
		if p.ImportPath != module {
			continue
		}
		for _, i := range p.Imports {
			if !standard[i] {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}

func TestRolloutImportsOnlyTheDomain(t *testing.T) {
	ours, standard := listed(t)
	for _, p := range ours {
		if room(p.ImportPath) != "rollout" {
			continue
		}
		for _, i := range p.Imports {
			if !standard[i] && i != module && room(i) != "rollout" {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}

func TestDependenciesPointInward(t *testing.T) {
	ours, _ := listed(t)
	for _, p := range ours {
		from := room(p.ImportPath)
		for _, i := range p.Imports {
			if !own(i) || room(i) == from {
				continue
			}
			if why := refused(from, room(i)); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, i, why)
			}
		}
	}
}

// refused tells why a package of one room may not import one of another; "" if it may.
func refused(from, to string) string {
	inner := to == "" || strings.HasPrefix(to, "internal/")
	switch {
	case strings.HasPrefix(to, "cmd/"):
		return "nothing imports a command"
	case strings.HasPrefix(from, "cmd/") || from == "bench" || strings.HasPrefix(from, "test/"):
		return ""
	case strings.HasPrefix(from, "internal/") && !inner:
		return "a leaf imports only the domain and other leaves"
	case from == "control" && !inner && to != "rollout":
		return "control sees the domain, rollout and leaves; the rest reaches it through ports"
	case adapter(from) && !inner:
		return "an adapter knows the domain, never its neighbours"
	}
	return ""
}

func TestEveryKindOfWrongImportIsRefused(t *testing.T) {
	for _, c := range []struct {
		from, to string
		refused  bool
	}{
		{"cmd/rhumb", "proxy", false},
		{"control", "rollout", false},
		{"control", "internal/seal", false},
		{"control", "sqlite", true},
		{"control", "engine/docker", true},
		{"proxy", "sqlite", true},
		{"engine/docker", "engine/enginefake", true},
		{"proxy", "internal/atomicfile", false},
		{"proxy", "rollout", true},
		{"internal/seal", "proxy", true},
		{"proxy", "cmd/rhumb", true},
		{"bench", "engine/docker", false},
	} {
		if got := refused(c.from, c.to) != ""; got != c.refused {
			t.Errorf("%s importing %s: refused is %v, want %v", c.from, c.to, got, c.refused)
		}
	}
}
