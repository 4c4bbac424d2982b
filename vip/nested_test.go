package vip

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestBridgedPacketsMayPassTheHostsFirewallOrNot runs other tests again on an engine of its own, in namespaces of its
// own. There it may set the switch, which every network namespace has for itself.
func TestBridgedPacketsMayPassTheHostsFirewallOrNot(t *testing.T) {
	needMachine(t)
	for _, program := range []string{"dockerd", "unshare", "sysctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	docker(t, "save", "-o", filepath.Join(dir, "app.tar"), image)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	script := `set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /var/lib/docker /var/lib/containerd
mount -t tmpfs none /var/lib/docker
mount -t tmpfs none /var/lib/containerd
ip link set lo up
dockerd >"$DIR/dockerd.log" 2>&1 &
for n in $(seq 300); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
docker load -qi "$DIR/app.tar"
for v in 0 1; do
	sysctl -w net.bridge.bridge-nf-call-iptables=$v
	"$@"
done`
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", script, "sh",
		os.Args[0], "-test.v", "-test.run",
		"^(TestAServiceAddressAnswersToCallersEverywhere|TestNothingIsLostAcrossASwitchOfEndpoints)$")
	cmd.Env = append(os.Environ(), "DIR="+dir, "RHUMB_TEST_DOCKER=1", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "dockerd.log"))
		t.Fatalf("%v; dockerd's log:\n%s", err, log[max(0, len(log)-3000):])
	}
}
