// Package keys has the keys of the Compose specification and what rhumb does with each. Notes, refusals and the table
// in docs/stack-file.md come from this table.
package keys

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/place"
)

// row is the fate of some keys. A key without a row has the fate of the nearest key above it that is ignored or
// refused; specification_test.go checks that no key of the schema is missing.
type row struct {
	under string // the path above the names; "*" is any name, "[]" are the items of a list
	names string // separated by spaces; name=value is only that value, and a * at its end matches any ending
	fate  rhumb.Fate
	why   string // the reason for any fate but honoured; rhumb.Need has the keys that only newer engines honour
}

const (
	honoured = rhumb.Honoured
	emulated = rhumb.Emulated
	ignored  = rhumb.Ignored
	refused  = rhumb.Refused
)

// rows is the table of the notes, the refusals and the document.
var rows = []row{
	{"", "name include services networks volumes secrets configs", honoured, ""},
	{"", "version", ignored, "it is obsolete: the specification has one version"},
	{"", "models", refused, "rhumb runs no language models"},
	{"", "jobs", refused,
		"jobs come with a later version; a service that others await with service_completed_successfully runs once"},
	{"include[]", "path env_file project_directory", honoured, ""},

	{"services.*",
		"image command entrypoint environment env_file label_file labels working_dir user group_add " +
			"hostname domainname", honoured, ""},
	{"services.*",
		"platform pull_policy init tty stdin_open read_only stop_signal stop_grace_period profiles " +
			"extends scale restart", honoured, ""},
	{"services.*", "pull_policy=daily pull_policy=weekly pull_policy=every_* pull_policy=refresh pull_refresh_after",
		emulated, "the registry is asked at every deployment"},
	{"services.*",
		"build depends_on deploy healthcheck ports expose networks volumes tmpfs configs secrets logging", honoured, ""},
	{"services.*", "volumes_from network_mode pid ipc uts userns_mode cgroup cgroup_parent runtime", honoured, ""},
	{"services.*", "network_mode=bridge network_mode=default", emulated,
		"the service joins the stack's default network, where names resolve and rhumb can reach it"},
	{"services.*",
		"privileged cap_add cap_drop security_opt sysctls ulimits devices device_cgroup_rules gpus", honoured, ""},
	{"services.*", "cpus cpu_shares cpu_quota cpu_period cpu_rt_period cpu_rt_runtime cpuset blkio_config", honoured, ""},
	{"services.*",
		"mem_limit mem_reservation mem_swappiness memswap_limit oom_kill_disable oom_score_adj pids_limit " +
			"shm_size storage_opt", honoured, ""},
	{"services.*", "dns dns_opt dns_search extra_hosts mac_address", honoured, ""},
	{"services.*", "container_name", emulated,
		"replicas have names of their own; the name is a further alias on the service's networks"},
	{"services.*", "links", emulated,
		"services reach each other by name on their networks; a link's alias is a further one there"},
	{"services.*", "external_links", refused,
		"containers outside the stack are reached over a network: join it with external: true"},
	{"services.*", "attach", ignored, "rhumb logs shows what services write"},
	{"services.*", "develop", ignored, "it is for docker compose watch"},
	{"services.*", "cpu_count cpu_percent", ignored, "only Windows knows them; use cpus"},
	{"services.*", "isolation credential_spec", refused, "only Windows has it"},
	{"services.*", "isolation=default", honoured, ""},
	{"services.*", "annotations", honoured, ""},
	{"services.*", "umask", honoured, ""},
	{"services.*", "use_api_socket", refused, "mount /var/run/docker.sock yourself if the service may rule the server"},
	{"services.*", "use_api_socket=false", honoured, ""},
	{"services.*", "models", refused, "rhumb runs no language models"},
	{"services.*", "provider", refused, "rhumb runs containers only"},
	{"services.*", "pre_start post_start pre_stop", honoured, ""},

	{"services.*.env_file[]", "path format required", honoured, ""},
	{"services.*.extends", "service file", honoured, ""},
	{"services.*.logging", "driver options", honoured, ""},
	{"services.*.ulimits.*", "soft hard", honoured, ""},
	{"services.*.depends_on.*", "condition restart required", honoured, ""},
	{"services.*.devices[]", "source target permissions", honoured, ""},
	{"services.*.gpus[]", "capabilities count device_ids driver options", honoured, ""},
	{"services.*.blkio_config",
		"weight weight_device device_read_bps device_read_iops device_write_bps device_write_iops", honoured, ""},
	{"services.*.blkio_config.weight_device[]", "path weight", honoured, ""},
	{"services.*.blkio_config.device_read_bps[]", "path rate", honoured, ""},
	{"services.*.blkio_config.device_read_iops[]", "path rate", honoured, ""},
	{"services.*.blkio_config.device_write_bps[]", "path rate", honoured, ""},
	{"services.*.blkio_config.device_write_iops[]", "path rate", honoured, ""},
	{"services.*.configs[]", "source target uid gid mode", honoured, ""},
	{"services.*.secrets[]", "source target uid gid mode", honoured, ""},

	{"services.*.pre_start[]", "per_replica", honoured, ""}, // the keys of a container have the same fates as in a service
	{"services.*.post_start[]", "command user privileged working_dir environment", honoured, ""},
	{"services.*.pre_stop[]", "command user privileged working_dir environment", honoured, ""},

	{"services.*.healthcheck", "test interval timeout retries start_period disable", honoured, ""},
	{"services.*.healthcheck", "start_interval", emulated,
		"rhumb's own probes are quicker while a replica starts; the health check of Engine 25 and newer keeps to it too"},

	{"services.*.ports[]", "target published host_ip protocol mode app_protocol", honoured, ""},
	{"services.*.ports[]", "name", ignored, "it is for people"},
	{"services.*.ports[]", "app_protocol=*", ignored, "bytes are passed on as they are; only http is understood"},
	{"services.*.ports[]", "app_protocol=http app_protocol=HTTP app_protocol=http/1.1", honoured, ""},
	{"services.*.ports[]", "protocol=sctp", refused, "the proxy supports tcp and udp"},

	{"services.*.networks.*", "aliases ipv4_address ipv6_address link_local_ips driver_opts priority", honoured, ""},
	{"services.*.networks.*", "mac_address", honoured, ""},
	{"services.*.networks.*", "interface_name gw_priority", honoured, ""},
	{"services.*.networks.*", "use_service_name_alias", honoured, ""},
	{"services.*.networks.*", "use_service_name_alias=false", ignored, "a service is always reached by its name"},

	{"services.*.volumes[]", "type source target read_only bind volume tmpfs image", honoured, ""},
	{"services.*.volumes[]", "type=npipe", refused, "only Windows has it"},
	{"services.*.volumes[]", "type=cluster", refused, "needs Docker Swarm"},
	{"services.*.volumes[]", "type=image", honoured, ""},
	{"services.*.volumes[].image", "subpath", honoured, ""},
	{"services.*.volumes[]", "consistency", ignored, "only Docker Desktop ever knew it"},
	{"services.*.volumes[].bind", "propagation create_host_path selinux recursive", honoured, ""},
	{"services.*.volumes[].bind", "recursive=readonly", honoured, ""},
	{"services.*.volumes[].volume", "nocopy", honoured, ""},
	{"services.*.volumes[].volume", "labels", ignored, "labels of a volume go below the top-level volumes"},
	{"services.*.volumes[].volume", "subpath", honoured, ""},
	{"services.*.volumes[].tmpfs", "size mode", honoured, ""},

	{"services.*.build", "context dockerfile dockerfile_inline args target labels tags network extra_hosts", honoured, ""},
	{"services.*.build", "cache_from no_cache pull secrets", honoured, ""},
	{"services.*.build", "no_cache_filter", emulated, "the whole image is built without the cache"},
	{"services.*.build", "platforms", emulated,
		"an engine keeps one platform of an image: the service's platform, else the only one named, else the server's"},
	{"services.*.build", "additional_contexts", refused,
		"a build gets one folder; COPY --from takes files from another image"},
	{"services.*.build", "ssh", refused, "the builder gets no SSH agent; pass a key as a build secret"},
	{"services.*.build", "entitlements privileged", refused, "the engine's builder grants no privileges"},
	{"services.*.build", "privileged=false", honoured, ""},
	{"services.*.build", "ulimits shm_size", honoured, ""},
	{"services.*.build.ulimits.*", "soft hard", honoured, ""},
	{"services.*.build", "cache_to", ignored,
		"exporting the cache crashes Engine 20.10; layers stay in the engine's own cache"},
	{"services.*.build", "provenance sbom", ignored, "the engine's image store keeps no attestations"},
	{"services.*.build", "isolation", ignored, "only Windows has it"},
	{"services.*.build.secrets[]", "source target", honoured, ""},
	{"services.*.build.secrets[]", "uid gid mode", ignored, "the Dockerfile sets them, in RUN --mount=type=secret"},

	{"services.*.deploy", "replicas resources restart_policy update_config rollback_config mode", honoured, ""},
	{"services.*.deploy", "mode=global", emulated, "one replica runs on the one node"},
	{"services.*.deploy", "mode=replicated-job mode=global-job", emulated, "the service runs once per release"},
	{"services.*.deploy", "labels", emulated, "the service's containers carry them, as an engine knows no services"},
	{"services.*.deploy", "placement", ignored, "there is one node"},
	{"services.*.deploy", "endpoint_mode", ignored, "names resolve to ready replicas in rhumb's own way"},
	{"services.*.deploy.resources", "limits reservations", honoured, ""},
	{"services.*.deploy.resources.limits", "cpus memory pids", honoured, ""},
	{"services.*.deploy.resources.reservations", "memory devices", honoured, ""},
	{"services.*.deploy.resources.reservations", "cpus generic_resources", ignored,
		"there is one node, and nothing to choose"},
	{"services.*.deploy.resources.reservations.devices[]", "capabilities count device_ids driver options", honoured, ""},
	{"services.*.deploy.restart_policy", "condition delay max_attempts", honoured, ""},
	{"services.*.deploy.restart_policy", "window", ignored, "rhumb waits longer after each crash in a row"},
	{"services.*.deploy.update_config", "parallelism delay failure_action monitor max_failure_ratio order", honoured, ""},
	{"services.*.deploy.rollback_config", "parallelism delay failure_action monitor max_failure_ratio", honoured, ""},
	{"services.*.deploy.rollback_config", "order", ignored, "a slot changes in update_config's order both ways"},

	{"networks.*", "name driver driver_opts external internal attachable labels enable_ipv6 ipam", honoured, ""},
	{"networks.*", "driver=overlay", emulated, "all replicas are on one machine, where a bridge joins them"},
	{"networks.*", "enable_ipv4", honoured, ""},
	{"networks.*", "enable_ipv4=false", refused, "rhumb reaches replicas over IPv4"},
	{"networks.*.external", "name", honoured, ""},
	{"networks.*.ipam", "driver config options", honoured, ""},
	{"networks.*.ipam.config[]", "subnet ip_range gateway aux_addresses", honoured, ""},
	{"volumes.*", "name driver driver_opts external labels", honoured, ""},
	{"volumes.*.external", "name", honoured, ""},
	{"configs.*", "name file content environment external", honoured, ""},
	{"configs.*.external", "name", honoured, ""},
	{"configs.*", "labels", ignored, "releases keep configs, the engine has none"},
	{"configs.*", "template_driver", refused, "needs Docker Swarm"},
	{"secrets.*", "name file environment external", honoured, ""},
	{"secrets.*.external", "name", honoured, ""},
	{"secrets.*", "labels", ignored, "releases keep secrets, the engine has none"},
	{"secrets.*", "driver driver_opts template_driver", refused, "needs Docker Swarm"},
}

// Key is a key, or one value of it, and its fate.
type Key struct {
	Path  string // services.*.deploy.mode
	Value string // only this value; "" is any
	Fate  rhumb.Fate
	Why   string
}

// Table is rows with one entry for each key, in their order.
var Table = sync.OnceValue(func() []*Key {
	var keys []*Key
	for _, row := range rows {
		for name := range strings.FieldsSeq(row.names) {
			name, value, _ := strings.Cut(name, "=")
			k := &Key{Path: place.Join(row.under, name), Value: value, Fate: row.fate, Why: row.why}
			keys = append(keys, k)
			if path, ok := inHook(k.Path); ok {
				keys = append(keys, &Key{Path: path, Value: value, Fate: row.fate, Why: row.why})
			}
		}
	}
	return keys
})

// inHook returns the path in a pre_start hook of a key of a service, if hooks have the key. They have the keys of a
// container.
func inHook(path string) (string, bool) {
	below, ok := strings.CutPrefix(path, "services.*.")
	if !ok {
		return "", false
	}
	name := below
	if i := strings.IndexAny(below, ".["); i >= 0 {
		name = below[:i]
	}
	return "services.*.pre_start[]." + below, slices.Contains(types.ContainerSpecAttributes, name)
}

// branch is the table as a tree.
type branch struct {
	below  map[string]*branch
	any    *Key   // whatever the value
	values []*Key // for some values
}

var root = sync.OnceValue(func() *branch {
	top := &branch{}
	for _, k := range Table() {
		at := top
		for part := range strings.SplitSeq(strings.ReplaceAll(k.Path, "[]", ".[]"), ".") {
			if at.below == nil {
				at.below = map[string]*branch{}
			}
			if at.below[part] == nil {
				at.below[part] = &branch{}
			}
			at = at.below[part]
		}
		if k.Value == "" {
			at.any = k
		} else {
			at.values = append(at.values, k)
		}
	}
	return top
})

// next returns the branch below a name, or nil.
func (b *branch) next(name string) *branch {
	if n, ok := b.below[name]; ok {
		return n
	}
	return b.below["*"]
}

// key returns the key for a value: the longest row that matches the value, or else the row for any value.
func (b *branch) key(value any) *Key {
	best := b.any
	for _, k := range b.values {
		stem, wild := strings.CutSuffix(k.Value, "*")
		s := fmt.Sprint(value)
		if s != k.Value && (!wild || !strings.HasPrefix(s, stem)) {
			continue
		}
		if best == nil || best.Value == "" || len(k.Value) > len(best.Value) {
			best = k
		}
	}
	return best
}

// Refusal returns the reason why the key is refused.
func (k *Key) Refusal() string {
	if k.Value != "" && !strings.HasSuffix(k.Value, "*") {
		return k.Value + " " + verb(k.Why)
	}
	return verb(k.Why)
}

func verb(why string) string {
	if strings.HasPrefix(why, "needs ") {
		return why
	}
	return "isn't supported: " + why
}

// Hint returns what to do about a refused key.
func (k *Key) Hint() string { return "leave it out" }
