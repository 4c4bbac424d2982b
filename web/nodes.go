package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

// nodesView is the data of the page of nodes: the machine, and what runs on it.
type nodesView struct {
	Machine  string
	Fills    []fill
	Booted   time.Time
	CPUs     int
	Load     string
	Stacks   []stackBoxes
	Replicas int // that run
	Err      error
	Metrics  error // why nothing is known of the machine
	Measured bool  // the replicas are those that are measured: the daemon is away
}

// fill is how full something of the machine is.
type fill struct {
	Name  string
	Value string // "41%"
	Note  string // "6.2 GB of 16 GB"
	Meter template.HTML
}

// stackBoxes are the replicas of a stack.
type stackBoxes struct {
	Name  string
	Boxes []box
}

// box is one replica.
type box struct {
	Name    string // "web.42.1"
	Release int
	Tone    string
	State   string
	Since   time.Time // since when it is in that state
	Use     string    // "0.41 CPUs, 210 MB"
	Link    string
}

// The machine's expressions: one query each, and each of them has few series.
const (
	nodeNow = `{__name__=~"rhumb_node_(cpus|load1|boot_seconds|memory_bytes|memory_available_bytes|swap_bytes|` +
		`swap_free_bytes|disk_bytes|disk_available_bytes)"}`
	nodeBusy = `1 - sum(rate(rhumb_node_cpu_seconds_total{mode=~"idle|iowait"}[1m]))` +
		` / sum(rate(rhumb_node_cpu_seconds_total[1m]))`
	replicaCPU  = `sum by (stack, service, release, replica) (rate(rhumb_replica_cpu_seconds_total[1m]))`
	replicaMem  = `sum by (stack, service, release, replica) (rhumb_replica_memory_bytes)`
	replicaFrom = `max by (stack, service, release, replica) (rhumb_replica_started_seconds)`
)

// nodesPage shows the machine and the replicas on it.
func nodesPage(s *server, r *http.Request) (view, error) {
	as := &answers{ctx: r.Context()}
	stacks := ask(as, s.Stacks.Stacks)
	machine, busy := s.askMetric(as, nodeNow, 0, 0), s.askMetric(as, nodeBusy, 0, 0)
	cpu, memory := s.askMetric(as, replicaCPU, 0, 0), s.askMetric(as, replicaMem, 0, 0)
	started := s.askMetric(as, replicaFrom, 0, 0)
	as.wait()
	v := nodesView{Machine: s.Machine, Metrics: cmp.Or(machine.Err, busy.Err)}
	v.machine(machine.Is, busy.Is)
	use := usesOf(cpu.Is, memory.Is)
	out := view{Title: "Nodes", Live: liveAt("", 2*rhumb.MeasureEvery)}
	switch {
	case away(stacks.Err):
		out.Away = stacks.Err
		v.measured(started.Is, use)
	case stacks.Err != nil:
		v.Err = stacks.Err
	}
	for _, st := range stacks.Is {
		if boxes := boxesOf(st, use); len(boxes) > 0 {
			v.Stacks = append(v.Stacks, stackBoxes{st.Name, boxes})
		}
	}
	for _, st := range v.Stacks {
		for _, b := range st.Boxes {
			if b.Tone != "done" && b.Tone != "bad" {
				v.Replicas++
			}
		}
	}
	out.Page = v
	return out, nil
}

// machine sets how full the machine is.
func (v *nodesView) machine(list, busy []rhumb.Series) {
	one := lastBy("__name__", list)
	v.CPUs = int(one["rhumb_node_cpus"])
	if t := one["rhumb_node_boot_seconds"]; t > 0 {
		v.Booted = time.Unix(int64(t), 0)
	}
	if load, known := one["rhumb_node_load1"]; known {
		v.Load = chart.Number.Format(load)
	}
	for _, sr := range busy {
		if n := len(sr.Points); n > 0 {
			note := plural(v.CPUs, "CPU")
			if v.Load != "" {
				note += ", load " + v.Load
			}
			v.fill("CPU", sr.Points[n-1].Value, note, .75, .95)
		}
	}
	v.space("Memory", one["rhumb_node_memory_bytes"], one["rhumb_node_memory_available_bytes"], .85, .95)
	v.space("Swap", one["rhumb_node_swap_bytes"], one["rhumb_node_swap_free_bytes"], .5, .9)
	sizes, free := map[string]float64{}, map[string]float64{}
	var paths []string
	for _, sr := range list {
		n, path := len(sr.Points), sr.Labels["path"]
		switch {
		case n == 0:
		case sr.Labels["__name__"] == "rhumb_node_disk_bytes":
			sizes[path] = sr.Points[n-1].Value
			paths = append(paths, path)
		case sr.Labels["__name__"] == "rhumb_node_disk_available_bytes":
			free[path] = sr.Points[n-1].Value
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		v.space("Disk "+cut(60, path), sizes[path], free[path], .85, .95)
	}
}

// space adds how full a space is. One without a size isn't there.
func (v *nodesView) space(name string, all, free, warn, bad float64) {
	if all > 0 {
		used := all - min(free, all)
		v.fill(name, used/all, size(used)+" of "+size(all), warn, bad)
	}
}

func (v *nodesView) fill(name string, share float64, note string, warn, bad float64) {
	share = max(0, min(1, share))
	value := strconv.FormatFloat(share*100, 'f', 0, 64) + "%"
	v.Fills = append(v.Fills, fill{name, value, note, chart.Meter(name+": "+value+" in use", share, warn, bad)})
}

// usesOf returns what each replica uses, in words, by its stack and name.
func usesOf(cpu, memory []rhumb.Series) map[string]string {
	use := map[string]string{}
	add := func(list []rhumb.Series, unit chart.Unit, noun string) {
		for _, sr := range list {
			if n := len(sr.Points); n > 0 {
				key := sr.Labels["stack"] + "\x00" + sr.Labels["replica"]
				if use[key] != "" {
					use[key] += ", "
				}
				use[key] += unit.Format(sr.Points[n-1].Value) + noun
			}
		}
	}
	add(memory, chart.Bytes, "")
	add(cpu, chart.Ratio, " CPU")
	return use
}

// boxesOf returns the replicas of a stack.
func boxesOf(st rhumb.StackInfo, use map[string]string) []box {
	var boxes []box
	for _, svc := range st.Services {
		for _, r := range svc.Slots {
			stand := standingOfReplica(r, svc.Job)
			b := box{Name: shortName(st.Name, r.Name), Release: r.Release, Tone: stand.Tone, State: stand.Word,
				Since: r.Started, Use: use[st.Name+"\x00"+r.Name], Link: replicaLogs(st.Name, svc.Name, r.Release)}
			if !r.Finished.IsZero() {
				b.Since, b.Use = r.Finished, ""
			}
			if stand.Tone == "bad" {
				b.State = r.Status
			}
			boxes = append(boxes, b)
		}
	}
	return boxes
}

// measured sets the replicas that are measured: while the daemon is away, nothing else is known of them.
func (v *nodesView) measured(started []rhumb.Series, use map[string]string) {
	v.Measured = true
	byStack := map[string][]box{}
	for _, sr := range started {
		n, stack, name := len(sr.Points), sr.Labels["stack"], sr.Labels["replica"]
		if n == 0 || stack == "" {
			continue
		}
		byStack[stack] = append(byStack[stack], box{Name: shortName(stack, name), Release: releaseOf(sr), Tone: "old",
			State: "running", Since: time.Unix(int64(sr.Points[n-1].Value), 0), Use: use[stack+"\x00"+name],
			Link: replicaLogs(stack, sr.Labels["service"], releaseOf(sr))})
	}
	for name, boxes := range byStack {
		slices.SortFunc(boxes, func(a, b box) int { return strings.Compare(a.Name, b.Name) })
		v.Stacks = append(v.Stacks, stackBoxes{name, boxes})
	}
	slices.SortFunc(v.Stacks, func(a, b stackBoxes) int { return strings.Compare(a.Name, b.Name) })
}

func replicaLogs(stack, service string, release int) string {
	return fmt.Sprintf("/logs?stack=%s&service=%s&release=%d", urlQuery(stack), urlQuery(service), release)
}
