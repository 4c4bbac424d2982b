package vip

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestNamespacesGoThoughTheirFolderIsMountedAgain runs itself in a mount namespace of its own. "ip netns add" mounts
// the folder of all namespaces over itself, and what was mounted in it is then there twice, once out of sight.
func TestNamespacesGoThoughTheirFolderIsMountedAgain(t *testing.T) {
	if how := os.Getenv("RHUMB_TEST_PROPAGATION"); how != "" {
		comeAndGo(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"unshare", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	for _, how := range []string{"private", "shared"} { // as a container's /run is, and as systemd's
		t.Run(how, func(t *testing.T) {
			script := `set -e
mount --make-rprivate /
mount -t tmpfs none /run
mount --make-$RHUMB_TEST_PROPAGATION /run
exec "$@"`
			cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", script, "sh",
				os.Args[0], "-test.run", "^"+t.Name()[:strings.Index(t.Name(), "/")]+"$")
			cmd.Env = append(os.Environ(), "RHUMB_TEST_PROPAGATION="+how, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func comeAndGo(t *testing.T) {
	add := func(name string) {
		ns, made, err := openNamespace(name)
		if err != nil || !made {
			t.Fatalf("%s: made %v, %v", name, made, err)
		}
		if err := ns.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add("rhumb-test-before")
	if out, err := exec.Command("ip", "netns", "add", "another").CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v: %s", err, out)
	}
	ns, made, err := openNamespace("rhumb-test-before")
	if err != nil || made {
		t.Fatalf("it didn't outlive ip netns add: made again %v, %v", made, err)
	}
	ns.Close()
	add("rhumb-test-after")
	elsewhere := exec.Command("unshare", "--mount", "cat") // it has copies of all mounts, until its input ends
	input, err := elsewhere.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := elsewhere.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { input.Close(); elsewhere.Wait() }()
	for _, end := range []func() (int, error){func() (int, error) { return input.Write([]byte("x")) },
		func() (int, error) { return output.Read([]byte{0}) }} {
		if _, err := end(); err != nil { // once it answers it has its copies
			t.Fatal(err)
		}
	}
	for _, name := range []string{"rhumb-test-before", "rhumb-test-after", "rhumb-test-never"} {
		if err := removeNamespace(name); err != nil {
			t.Error(err)
		}
	}
	for _, who := range []string{"self", strconv.Itoa(elsewhere.Process.Pid)} {
		for _, line := range mounts(t, who) {
			if strings.Contains(line, "/rhumb-test-") {
				t.Errorf("%s still has: %s", who, line)
			}
		}
	}
	if names, err := namespaces(""); err != nil || len(names) != 1 || names[0] != "another" {
		t.Errorf("namespaces: %v, %v", names, err)
	}
	if out, err := exec.Command("ip", "netns", "exec", "another", "true").CombinedOutput(); err != nil {
		t.Errorf("the other one: %v: %s", err, out)
	}
}

// mounts lists the mounts of a process.
func mounts(t *testing.T, pid string) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}
