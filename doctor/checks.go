package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/internal/disk"
)

// Limits of what counts as full, in percent.
const (
	fullWarning  = 80
	fullProblem  = 90
	memoryFull   = 97 // higher than for disks: the kernel frees its caches
	memoryScarce = 90
)

func serverCheck(f Facts) []Finding {
	if f.Server.Err != nil {
		hint := rhumb.ErrorHint(f.Server.Err)
		if hint == "" {
			hint = "start it: rhumb server"
		}
		return []Finding{{"server", Problem, f.Server.Err.Error(), hint}}
	}
	found := []Finding{{"server", OK, "rhumb " + f.Server.Info.Version + " answers", ""}}
	if !f.Server.Info.Proxy {
		return append(found, Finding{"proxy", Problem, "it doesn't answer: routes can't be changed",
			"the server restarts it automatically; if it doesn't, proxy.log in " + f.Server.Info.Data + " has the reason"})
	}
	return append(found, Finding{"proxy", OK, "it answers", ""})
}

func daemonsCheck(f Facts) []Finding {
	var pids []string
	for _, d := range f.Daemons {
		if sameSocket(d.Engine, f.Docker) {
			pids = append(pids, strconv.Itoa(d.PID))
		}
	}
	if len(pids) < 2 {
		return nil
	}
	return []Finding{{"server", Warning,
		fmt.Sprintf("%d servers use this engine: processes %s", len(pids), strings.Join(pids, ", ")),
		"keep one: two servers with a stack of the same name would undo each other's changes"}}
}

// sameSocket reports whether two addresses are the same socket: /var/run is another name of /run.
func sameSocket(a, b string) bool {
	return strings.Replace(a, "/var/run/", "/run/", 1) == strings.Replace(b, "/var/run/", "/run/", 1)
}

// oldestAPI is the API of Engine 20.10.
const oldestAPI = 41

func engineCheck(f Facts) []Finding {
	e := f.Engine
	if e.Err != nil {
		hint := "start it (systemctl start docker), or set its socket with --docker-host"
		if strings.Contains(e.Err.Error(), "permission denied") {
			hint = "run doctor as root"
		}
		return []Finding{{"engine", Problem, "Docker Engine can't be reached: " + e.Err.Error(), hint}}
	}
	what := "Docker Engine " + e.Version + ", API " + e.API
	found := []Finding{{"engine", OK, what, ""}}
	if major, minor, ok := strings.Cut(e.API, "."); ok {
		if n, err := strconv.Atoi(minor); err == nil && major == "1" && n < oldestAPI {
			found[0] = Finding{"engine", Problem, what + " is too old", "rhumb needs Docker Engine 20.10 or newer (API 1.41)"}
		}
	}
	switch {
	case e.LiveRestore:
		return append(found, Finding{"engine", OK, "live-restore is on: containers keep running while dockerd restarts", ""})
	case e.Swarm:
		return append(found, Finding{"engine", Warning, "live-restore is off: when dockerd restarts, all containers " +
			"stop, and rhumb starts them again afterwards",
			"the engine is part of a swarm, which doesn't support it: restart dockerd only when an outage is acceptable"})
	}
	return append(found, Finding{"engine", Warning, "live-restore is off: when dockerd restarts, all containers " +
		"stop, and rhumb starts them again afterwards",
		`write "live-restore": true into /etc/docker/daemon.json, then: systemctl reload docker`})
}

func kernelCheck(f Facts) []Finding {
	k := f.Kernel
	var found []Finding
	add := func(ok bool, l Level, good, bad, hint string) {
		if ok {
			found = append(found, Finding{"kernel", OK, good, ""})
			return
		}
		found = append(found, Finding{"kernel", l, bad, hint})
	}
	if f.Engine.Driver == "" || strings.HasPrefix(f.Engine.Driver, "overlay") {
		add(k.Overlay, Problem, "overlay file systems", "no overlay file systems",
			"modprobe overlay; without it images are slow and large")
	}
	add(k.Bridge, Problem, "bridges", "no bridges: containers have no networks", "modprobe bridge")
	found = append(found, bySwitch(k.BridgeNF,
		Finding{"kernel", OK, "bridge-nf-call-iptables is 1", ""},
		Finding{"kernel", OK, "bridge-nf-call-iptables is 0: rules don't apply inside one network; rhumb works either way",
			""},
		Finding{"kernel", Warning, "br_netfilter isn't loaded: Docker can't keep containers of one network apart",
			"modprobe br_netfilter; add it to /etc/modules-load.d to keep it"},
	), bySwitch(k.Forward,
		Finding{"kernel", OK, "IPv4 packets are forwarded", ""},
		Finding{"kernel", Problem, "IPv4 packets aren't forwarded: containers can't reach other machines",
			"sysctl -w net.ipv4.ip_forward=1; add it to /etc/sysctl.d to keep it"},
		Finding{"kernel", Warning, "can't read whether IPv4 packets are forwarded",
			"sysctl net.ipv4.ip_forward must be 1"},
	))
	if k.Denied {
		return append(found, Finding{"kernel", Warning, "network namespaces and nftables not checked: permission denied",
			"run doctor as root"})
	}
	why := ""
	if k.Namespace != nil {
		why = k.Namespace.Error()
	}
	add(k.Namespace == nil, Problem, "network namespaces with nftables",
		"network namespaces with nftables can't be used: "+why, "the kernel needs CONFIG_NET_NS and CONFIG_NF_TABLES: "+
			"modprobe nf_tables, or another kernel")
	return found
}

// bySwitch returns the finding for a kernel switch; "" is an unknown value.
func bySwitch(value string, on, off, unknown Finding) Finding {
	switch value {
	case "":
		return unknown
	case "0":
		return off
	}
	return on
}

// unseen returns a finding, and true, if a check needs the routes and they aren't known.
func unseen(f Facts, check string) ([]Finding, bool) {
	switch {
	case f.Server.Err != nil:
		return []Finding{{check, Warning, "not checked: the server doesn't answer", "run doctor again once it does"}}, true
	case f.Server.RoutesErr != nil:
		return []Finding{{check, Warning, "not checked: " + f.Server.RoutesErr.Error(),
			"run doctor again once the proxy answers"}}, true
	}
	return nil, false
}

func namesCheck(f Facts) []Finding {
	if found, yes := unseen(f, "names"); yes {
		return found
	}
	var found []Finding
	for _, n := range f.Names {
		own := slices.ContainsFunc(n.Addrs, func(a netip.Addr) bool { return slices.Contains(f.Addresses, a.Unmap()) })
		switch {
		case n.Err != nil:
			found = append(found,
				Finding{"names", Warning, n.Host + ": lookup failed: " + lookupError(n.Err),
					"give it an A or AAAA record with this machine's address"})
		case !own:
			found = append(found, Finding{"names", Warning, n.Host + " resolves to " + joined(n.Addrs) + ", not to this machine",
				"ignore this behind a load balancer or NAT; otherwise correct its A and AAAA records"})
		}
	}
	if len(found) == 0 && len(f.Names) > 0 {
		return []Finding{{"names", OK, counted(len(f.Names), "route name resolves", "route names resolve") +
			" to this machine",
			""}}
	}
	return found
}

// lookupError returns the reason in a resolver's error, without the rest.
func lookupError(err error) string {
	var e *net.DNSError
	if errors.As(err, &e) {
		return e.Err
	}
	return err.Error()
}

func diskCheck(f Facts) []Finding {
	var found []Finding
	for _, d := range f.Disks {
		who := d.What + " " + d.Path
		if d.Err != nil {
			found = append(found,
				Finding{"disk", Warning, who + " can't be read: " + d.Err.Error(),
					"run doctor on the server's machine, as root"})
			continue
		}
		space, nodes := d.Space(), d.Nodes()
		text := fmt.Sprintf("%s: %d%% of %s used", who, space, gigabytes(d.Usable))
		if d.Inodes > 0 {
			text += fmt.Sprintf(", %d%% of its inodes", nodes)
		}
		l := grade(max(space, nodes), fullWarning, fullProblem)
		hint := ""
		if l != OK {
			hint = "free space: du -xsh " + d.Path + "/* shows what uses it; docker image prune and docker builder prune " +
				"remove what no container uses"
		}
		found = append(found, Finding{"disk", l, text, hint})
	}
	return found
}

func memoryCheck(f Facts) []Finding {
	m := f.Memory
	if m.Err != nil {
		return []Finding{{"memory", Warning, "not checked: " + m.Err.Error(), ""}}
	}
	used := disk.Percent(m.Total-min(m.Available, m.Total), m.Total)
	l := grade(used, memoryScarce, memoryFull)
	hint := ""
	if l != OK {
		hint = "docker stats shows which containers use it; set deploy.resources.limits.memory of services: without free " +
			"memory the kernel kills processes of its choice"
	}
	return []Finding{{"memory", l, fmt.Sprintf("%s of %s available", gigabytes(m.Available), gigabytes(m.Total)), hint}}
}

// farOff is how wrong a clock may be before certificates and logs suffer.
const farOff = 10 * time.Second

func clockCheck(f Facts) []Finding {
	const hint = "synchronize it: timedatectl set-ntp true, or install chrony; certificates and the order of logs " +
		"depend on it"
	switch c := f.Clock; {
	case c.Err != nil:
		return []Finding{{"clock", Warning, "not checked: " + c.Err.Error(), ""}}
	case !c.Synced:
		return []Finding{{"clock", Warning, "it isn't synchronized", hint}}
	case c.Error > farOff:
		return []Finding{{"clock", Warning, "it may be wrong by " + c.Error.Round(time.Second).String(), hint}}
	}
	return []Finding{{"clock", OK, "it is synchronized", ""}}
}

func grade(n, warning, problem int) Level {
	switch {
	case n >= problem:
		return Problem
	case n >= warning:
		return Warning
	}
	return OK
}
