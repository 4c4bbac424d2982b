package arch

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "rhumb"

// room returns the room of a folder: "." for the domain, the engine itself for a folder of an engine.
func room(dir string) string {
	parts := strings.Split(dir, "/")
	switch parts[0] {
	case "engine", "internal", "cmd", "test":
		return strings.Join(parts[:min(2, len(parts))], "/")
	}
	return parts[0]
}

// adapter reports whether a room is an adapter: not the domain, not a decider, not a leaf, and not a program.
func adapter(room string) bool {
	free := []string{".", "rollout", "control", "cmd/rhumb", "bench", "test/e2e"}
	return !slices.Contains(free, room) && !strings.HasPrefix(room, "internal/")
}

// imports finds imports that point outward: cmd -> adapters -> domain. Tests may import anything.
func imports(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for _, spec := range f.ast.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			if why := refused(f.dir(), name); why != "" {
				faults = append(faults, tr.at(spec.Pos(), "imports %s: %s", name, why))
			}
		}
	}
	return faults
}

// refused returns why the package in a folder must not import another package; "" if it may.
func refused(dir, imported string) string {
	from, to := room(dir), ""
	switch {
	case imported == module:
		to = "."
	case strings.HasPrefix(imported, module+"/"):
		to = room(strings.TrimPrefix(imported, module+"/"))
	case !standard(imported) && from == ".":
		return "the domain imports only the standard library"
	case !standard(imported) && from == "rollout":
		return "rollout imports only the standard library and the domain"
	default:
		return ""
	}
	inner := to == "." || strings.HasPrefix(to, "internal/")
	switch {
	case to == from:
		return ""
	case strings.HasPrefix(to, "cmd/"):
		return "nothing imports a command"
	case from == ".":
		return "the domain imports only the standard library"
	case from == "rollout" && to != ".":
		return "rollout imports only the standard library and the domain"
	case strings.HasPrefix(from, "cmd/") || from == "bench" || strings.HasPrefix(from, "test/"):
		return ""
	case strings.HasPrefix(from, "internal/") && !inner:
		return "a leaf imports only the domain and other leaves"
	case from == "control" && !inner && to != "rollout":
		return "control imports the domain, rollout and leaves; the rest reaches it through ports"
	case adapter(from) && !inner:
		return "an adapter imports the domain, never another adapter"
	}
	return ""
}

// standard reports whether a package belongs to the standard library: the first part of its path has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && path.Clean(imported) == imported
}

func TestEveryKindOfWrongImportIsRefused(t *testing.T) {
	for _, c := range []struct {
		from, to string
		refused  bool
	}{
		{".", "fmt", false},
		{".", "rhumb/internal/seal", true},
		{".", "example.com/library", true},
		{"rollout", "rhumb", false},
		{"rollout/diff", "rhumb/rollout", false},
		{"rollout", "rhumb/internal/seal", true},
		{"rollout", "example.com/library", true},
		{"cmd/rhumb", "rhumb/proxy", false},
		{"control", "rhumb/rollout", false},
		{"control", "rhumb/internal/seal", false},
		{"control", "rhumb/sqlite", true},
		{"control", "rhumb/engine/docker", true},
		{"proxy", "rhumb/sqlite", true},
		{"engine/docker", "rhumb/engine/enginefake", true},
		{"proxy", "rhumb/internal/atomicfile", false},
		{"proxy", "example.com/library", false},
		{"proxy", "rhumb/rollout", true},
		{"internal/seal", "rhumb/proxy", true},
		{"proxy", "rhumb/cmd/rhumb", true},
		{"bench", "rhumb/engine/docker", false},
	} {
		if got := refused(c.from, c.to) != ""; got != c.refused {
			t.Errorf("%s importing %s: refused is %v, want %v", c.from, c.to, got, c.refused)
		}
	}
}
