package convert

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/keys"
)

// policies converts update_config and rollback_config.
func (c *converter) policies(s types.ServiceConfig) (update, rollback rhumb.Policy) {
	update = rhumb.Policy{Parallelism: 1, OnFailure: rhumb.ActionRollback}
	rollback = rhumb.Policy{OnFailure: rhumb.ActionPause}
	if s.Deploy == nil {
		return update, rollback
	}
	path := "services." + s.Name + ".deploy."
	if u := s.Deploy.UpdateConfig; u != nil {
		update = c.policy(path+"update_config", u, update, rhumb.ActionRollback, rhumb.ActionPause, rhumb.ActionContinue)
	}
	if u := s.Deploy.RollbackConfig; u != nil {
		rollback = c.policy(path+"rollback_config", u, rollback, rhumb.ActionPause, rhumb.ActionContinue)
	}
	return update, rollback
}

func (c *converter) policy(path string, u *types.UpdateConfig, out rhumb.Policy,
	actions ...rhumb.FailureAction) rhumb.Policy {
	if u.Parallelism != nil {
		out.Parallelism = int(min(*u.Parallelism, 1<<30))
	}
	out.Delay, out.Monitor = c.duration(path+".delay", &u.Delay), c.duration(path+".monitor", &u.Monitor)
	// The library rounds to 32 bits; format the number as the user wrote it.
	out.MaxFailureRatio, _ = strconv.ParseFloat(strconv.FormatFloat(float64(u.MaxFailureRatio), 'g', -1, 32), 64)
	if math.IsNaN(out.MaxFailureRatio) || out.MaxFailureRatio < 0 || out.MaxFailureRatio > 1 {
		c.bad.At(path+".max_failure_ratio",
			"write a number from 0 to 1: with 0.25 a quarter of the replicas may fail", "%v is not a ratio",
			u.MaxFailureRatio)
		out.MaxFailureRatio = 0
	}
	if u.FailureAction == "" {
		return out
	}
	var names []string
	for _, a := range actions {
		if string(a) == u.FailureAction {
			out.OnFailure = a
			return out
		}
		names = append(names, string(a))
	}
	c.bad.At(path+".failure_action", "choose "+strings.Join(names, " or "), "unknown action %q", u.FailureAction)
	return out
}

// restart converts restart and deploy.restart_policy. The latter takes precedence.
func (c *converter) restart(s types.ServiceConfig) rhumb.Restart {
	if c.awaited[s.Name] {
		if s.Restart != "" && s.Restart != "no" {
			c.note("services."+s.Name+".restart", rhumb.Ignored, "others await the service's completion: it runs once")
		}
		return rhumb.Restart{Condition: rhumb.RestartNone}
	}
	if s.Deploy != nil && s.Deploy.RestartPolicy != nil {
		return c.restartPolicy("services."+s.Name+".deploy.restart_policy", s.Deploy.RestartPolicy)
	}
	name, count, counted := strings.Cut(s.Restart, ":")
	out := rhumb.Restart{}
	switch name {
	case "", "always", "unless-stopped":
		out.Condition = rhumb.RestartAny
	case "no":
		out.Condition = rhumb.RestartNone
	case "on-failure":
		out.Condition = rhumb.RestartOnFailure
		n, err := strconv.Atoi(count)
		if counted && (err != nil || n < 0) {
			c.bad.At("services."+s.Name+".restart", "write on-failure:3", "%q is not a number of restarts", count)
		}
		out.MaxAttempts = max(n, 0)
		return out
	}
	if out.Condition == "" || counted {
		c.bad.At("services."+s.Name+".restart", "choose always, unless-stopped, on-failure[:times] or \"no\"",
			"unknown policy %q", s.Restart)
	}
	return out
}

func (c *converter) restartPolicy(path string, p *types.RestartPolicy) rhumb.Restart {
	out := rhumb.Restart{Condition: rhumb.RestartAny, Delay: c.duration(path+".delay", p.Delay)}
	switch p.Condition {
	case "", "any", "always", "unless-stopped":
	case "on-failure":
		out.Condition = rhumb.RestartOnFailure
	case "none", "no":
		out.Condition = rhumb.RestartNone
	default:
		c.bad.At(path+".condition", "choose any, on-failure or none", "unknown condition %q", p.Condition)
	}
	if p.MaxAttempts != nil {
		out.MaxAttempts = int(min(*p.MaxAttempts, 1<<30))
	}
	return out
}

// order chooses how a slot changes under the rolling strategy. A service whose replicas can't run at the same time is
// stop-first, unless the user sets the order.
func (c *converter) order(s types.ServiceConfig, out *rhumb.Service) (rhumb.Order, string) {
	if s.Deploy != nil && s.Deploy.UpdateConfig != nil && s.Deploy.UpdateConfig.Order != "" {
		return rhumb.Order(s.Deploy.UpdateConfig.Order), "as update_config says"
	}
	if why := c.exclusive(s, out); why != "" {
		return rhumb.StopFirst, why
	}
	return rhumb.StartFirst, ""
}

// fixedMAC reports whether a container has a MAC address of its own, as a whole or in a network.
func fixedMAC(c *rhumb.Container) bool {
	return c.MacAddress != "" || slices.ContainsFunc(c.Networks, func(a rhumb.Attachment) bool { return a.MAC != "" })
}

// exclusive returns the first thing that two replicas of the service must not use at the same time, or "".
func (c *converter) exclusive(s types.ServiceConfig, out *rhumb.Service) string {
	for _, v := range s.Volumes {
		switch {
		case v.ReadOnly:
		case v.Type == types.VolumeTypeVolume && v.Source == "":
			return "mounts an anonymous volume on " + v.Target + " read-write"
		case v.Type == types.VolumeTypeVolume:
			return "mounts volume " + v.Source + " read-write"
		case v.Type == types.VolumeTypeBind && c.dataFolder(v.Source):
			return "mounts folder " + c.in.Shown(v.Source) + " read-write"
		}
	}
	for _, v := range s.VolumesFrom {
		if !strings.HasSuffix(v, ":ro") {
			return "takes the volumes of " + strings.TrimSuffix(v, ":rw") + " read-write"
		}
	}
	for _, a := range out.Container.Networks {
		if a.IPv4 != "" || a.IPv6 != "" {
			return fmt.Sprintf("has the static address %s%s", a.IPv4, a.IPv6)
		}
	}
	switch {
	case fixedMAC(&out.Container):
		return "has a static MAC address"
	case len(s.Devices) > 0:
		return "holds device " + s.Devices[0].Source
	case len(out.Container.HostPorts) > 0:
		return "publishes port " + strconv.Itoa(int(out.Container.HostPorts[0].Published)) + " with mode: host"
	case s.NetworkMode == "host":
		return "network_mode is host"
	case strings.Contains(s.NetworkMode, ":"):
		return "shares the network of " + s.NetworkMode
	case strings.Contains(s.Pid, ":"):
		return "shares the processes of " + s.Pid
	case strings.HasPrefix(s.Ipc, types.ServicePrefix), strings.HasPrefix(s.Ipc, types.ContainerPrefix):
		return "shares the memory of " + s.Ipc
	}
	return ""
}

// systemFolders are shared by nature: mounting them read-write doesn't make a service stop-first.
var systemFolders = []string{"/dev", "/etc", "/lib/modules", "/proc", "/run", "/sys", "/tmp", "/var/lib/docker",
	"/var/log", "/var/run"}

// dataFolder reports whether a bind mount may contain data that two replicas would corrupt: a folder, or a path that
// becomes one.
func (c *converter) dataFolder(source string) bool {
	for _, dir := range systemFolders {
		if (source == dir || strings.HasPrefix(source, dir+"/")) && !inside(c.in.Dir, source) {
			return false
		}
	}
	if strings.HasSuffix(source, ".sock") || source == "/" {
		return false
	}
	info, err := os.Stat(source)
	return err != nil || info.IsDir()
}

// ready converts the condition under which a replica is ready.
func (c *converter) ready(s types.ServiceConfig, out *rhumb.Service) rhumb.Ready {
	if out.Job {
		return rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: c.extras[s.Name].Ready.Timeout}
	}
	r := c.extras[s.Name].Ready
	if (r.Kind == rhumb.ReadyHTTP || r.Kind == rhumb.ReadyTCP) && r.Port == 0 {
		if r.Port = firstPort(out.Container.Expose); r.Port == 0 && !c.portsLeftOut(s.Name) {
			c.bad.At("services."+s.Name+"."+keys.Extension+".ready", "add port", "the port to check is unknown")
		}
	}
	return r
}

// portsLeftOut reports whether ports of a service may have been cut out because of mistakes.
func (c *converter) portsLeftOut(name string) bool {
	return c.bad.Follows("services."+name+".ports") || c.bad.Follows("services."+name+".expose") ||
		c.unset && c.bad.Said("services."+name+".ports")
}
