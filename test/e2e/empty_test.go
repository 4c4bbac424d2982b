package e2e

import (
	"strings"
	"testing"
)

// emptyFiles has each kind of file that a container can be given, with nothing in it.
const emptyFiles = `
services:
  box:
    image: debian:12-slim
    init: true
    user: "1000"
    command: sleep infinity
    volumes: ["./empty.txt:/bound:ro"]
    configs: [file_config, content, variable_config, kept_config]
    secrets: [file_secret, variable_secret, kept_secret]
    x-rhumb: {ready: {timeout: 1s}}
configs:
  file_config: {file: ./empty.txt}
  content: {content: ""}
  variable_config: {environment: NOTHING}
  kept_config: {external: true, name: "${NAME}-empty"}
secrets:
  file_secret: {file: ./empty.txt}
  variable_secret: {environment: NOTHING}
  kept_secret: {external: true, name: "${NAME}-empty"}
`

func TestEmptyFilesAreInTheContainerAndEmpty(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, emptyFiles)
	k.env = []string{"NOTHING="}
	k.write("empty.txt", "")
	if r := s.rhumb(k.dir, "secret", "create", k.name+"-empty", "empty.txt"); r.code != 0 {
		t.Fatal(r.out)
	}
	k.must(0, "plan")
	k.must(0, "deploy")
	paths := []string{"/bound", "/file_config", "/content", "/variable_config", "/kept_config",
		"/run/secrets/file_secret", "/run/secrets/variable_secret", "/run/secrets/kept_secret"}
	out := k.must(0, "exec", append([]string{"-T", "box", "stat", "-c", "%F of %s bytes"}, paths...)...)
	if got, want := out, strings.Repeat("regular empty file of 0 bytes\n", len(paths)); got != want {
		t.Errorf("in the container there is:\n%s", got)
	}
	if out := k.must(0, "deploy"); !strings.Contains(out, "nothing changed") {
		t.Errorf("deployed again:\n%s", out)
	}
	k.write("empty.txt", "full\n")
	k.must(0, "deploy")
	if out := k.must(0, "exec", "-T", "box", "cat", "/bound", "/run/secrets/file_secret"); out != "full\nfull\n" {
		t.Errorf("filled, they hold %q", out)
	}
	k.write("empty.txt", "")
	k.must(0, "deploy")
	if out := k.must(0, "exec", "-T", "box", "cat", "/bound", "/run/secrets/file_secret"); out != "" {
		t.Errorf("empty again, they hold %q", out)
	}
}
