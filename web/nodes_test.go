package web

import (
	"testing"

	"rhumb"
)

func TestNodesShowTheMachineAndWhatRunsOnIt(t *testing.T) {
	contains(t, get(t, observedWorld().server(), "/nodes"), 200, "9 replicas on 1 node", "CPU: 34% in use",
		"11 GB of 17 GB", "Disk /var/lib/docker: 89% in use", "load 2.31", "web.42.1", "ready for 3h", "104 MB, 7% CPU",
		"completed", "db.38.1",
		"/logs?stack=shop&amp;service=web&amp;release=42")
}

func TestNodesShowBrokenReplicasAsBroken(t *testing.T) {
	w := observedWorld()
	r := &w.stacks[1].Services[0].Slots[0]
	r.State, r.Ready, r.Routed, r.Status, r.ExitCode = rhumb.StateExited, false, "", "exited (1), again in 8s", 1
	contains(t, get(t, w.server(), "/nodes"), 200, `class="box bad"`, "exited (1), again in 8s", "8 replicas on 1 node")
}

func TestNodesShowWhatWasMeasuredWhileTheDaemonIsAway(t *testing.T) {
	rec := get(t, observedAway().server(), "/nodes")
	contains(t, rec, 200, "The daemon doesn't answer", "What was measured last", "web.42.1", "release 42")
	rec = get(t, deafWorld().server(), "/nodes")
	contains(t, rec, 200, "Not available now", "web.42.1")
}
