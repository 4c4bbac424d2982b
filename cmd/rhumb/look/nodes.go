package look

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// node is what "rhumb nodes --format json" prints for each node. There is one today.
type node struct {
	Machine view.Machine
	Stacks  []rhumb.StackInfo
	Usage   []view.Usage // of the replicas
}

func nodesCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("nodes [flags]", "Show how full the server is, and what runs on it since when", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			n, err := readNode(ctx, a, c)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, []node{n})
			}
			usage := make(map[string]view.Usage, len(n.Usage))
			for _, u := range n.Usage {
				usage[u.Replica] = u
			}
			view.Nodes(a.Stdout, n.Machine, n.Stacks, usage)
			return nil
		})
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cmd
}

// readNode reads the node. Without metrics, it still has what runs.
func readNode(ctx context.Context, a *cli.App, c *client.Client) (n node, err error) {
	if n.Machine.Info, err = c.Info(ctx); err != nil {
		return n, err
	}
	if n.Stacks, err = psStacks(ctx, a, c, true); err != nil {
		return n, err
	}
	exprs := replicaExprs("")
	maps.Copy(exprs, machineExprs)
	f, err := readFigures(ctx, c, exprs)
	switch {
	case err != nil && !absent(err):
		return n, err
	case err != nil:
		view.Warning(a.Stderr, rhumb.Note{Subject: "the server is not measured", Why: err.Error()})
	}
	n.Usage = byReplica(f)
	n.Machine.Busy, n.Machine.Load = f.one("busy"), f.one("load")
	n.Machine.Memory, n.Machine.Boot = f.one("taken"), f.one("boot")
	n.Machine.Disks = disksOf(f)
	return n, nil
}

// machineExprs are what is known of the machine, which is measured every fifteen seconds.
var machineExprs = map[string]string{
	"busy":  `sum(rate(rhumb_node_cpu_seconds_total{mode!~"idle|iowait"}[2m])) / scalar(rhumb_node_cpus)`,
	"load":  "rhumb_node_load1",
	"taken": "1 - rhumb_node_memory_available_bytes / rhumb_node_memory_bytes",
	"boot":  "rhumb_node_boot_seconds",
	"size":  "rhumb_node_disk_bytes",
	"left":  "rhumb_node_disk_available_bytes",
}

// disksOf returns the file systems, sorted by path.
func disksOf(f figures) (disks []view.Disk) {
	left := map[string]float64{}
	for _, s := range f["left"] {
		left[s.Labels["path"]] = *last(s)
	}
	for _, s := range f["size"] {
		path := s.Labels["path"]
		disks = append(disks, view.Disk{Path: path, Size: *last(s), Left: left[path]})
	}
	slices.SortFunc(disks, func(a, b view.Disk) int { return strings.Compare(a.Path, b.Path) })
	return disks
}
