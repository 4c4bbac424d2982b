package compose

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// Each folder of testdata/stacks has a realistic stack. Together they use the many ways to write a Compose file.
var stacks = map[string]struct {
	folder  string
	opts    Options
	refused []string // "place: message | hint"
	notes   []string // "place: subject fate", without bind mounts
	facts   func(*testing.T, *Project)
}{
	"a blog": {folder: "blog", opts: Options{Environ: []string{"TZ=Europe/Riga"}}, facts: blogFacts, notes: []string{
		"compose.yaml:1: version ignored", "compose.yaml:7: services.wordpress.container_name emulated",
		"compose.yaml:11: services.wordpress.links emulated",
		"compose.yaml:47: services.db.volumes ignored"}},
	"a blog with its admin": {folder: "blog", opts: Options{Profiles: []string{"admin"}, Name: "diary"}, facts: adminFacts,
		notes: []string{
			"compose.yaml:1: version ignored", "compose.yaml:7: services.wordpress.container_name emulated",
			"compose.yaml:11: services.wordpress.links emulated",
			"compose.yaml:45: services.db.environment.TZ ignored", "compose.yaml:47: services.db.volumes ignored"}},
	"a cloud": {folder: "cloud", facts: cloudFacts, notes: []string{"compose.yaml:81: " +
		"services.db.healthcheck.start_interval emulated"}},
	"a forge": {folder: "forge", opts: Options{Environ: []string{"DB_PASSWORD=p"}}, facts: forgeFacts,
		notes: []string{"docker-compose.yml:1: version ignored", "docker-compose.yml:13: services.server.container_name " +
			"emulated"}},
	"a locked forge": {folder: "forge", refused: []string{
		"docker-compose.yml:21: server.environment: variable DB_PASSWORD is not set and has no default | set " +
			"DB_PASSWORD in the environment or in .env, write ${DB_PASSWORD:-default}, or allow it with --allow-unset",
		"docker-compose.yml:47: db.environment.POSTGRES_PASSWORD: variable DB_PASSWORD is not set and has no default | " +
			"set DB_PASSWORD in the environment or in .env, write ${DB_PASSWORD:-default}, or allow it with --allow-unset"}},
	"a shop": {folder: "shop", opts: Options{Environ: []string{"DJANGO_KEY=k"}}, facts: shopFacts},
	"a shop without its key": {folder: "shop", refused: []string{
		"compose.yaml:115: secrets.django_key.environment: variable DJANGO_KEY is not set | set DJANGO_KEY in the " +
			"environment or in .env"}},
	"a desk":       {folder: "jobs", opts: Options{Environ: []string{"RAILS_MASTER_KEY=m"}}, facts: deskFacts},
	"a social one": {folder: "social", facts: socialFacts},
	"a watch": {folder: "watch", facts: watchFacts, notes: []string{"compose.yaml:81: " +
		"services.cadvisor.deploy.mode emulated"}},
	"a counter": {folder: "counter", facts: counterFacts, notes: []string{"compose.yml:51: " +
		"services.counter.environment.MAIL_KEY ignored"}},
	"an edge": {folder: "edge", facts: edgeFacts,
		notes: []string{"services/api.yaml:6: services.api.deploy.labels emulated",
			"services/api.yaml:8: services.api.deploy.placement ignored"}},
	"a flow": {folder: "flows", facts: flowFacts,
		notes: []string{"compose.yaml:16: services.server.links emulated",
			"compose.yaml:16: services.worker.links emulated"}},
	"a newer flow": {folder: "flows", opts: Options{Files: []string{"compose.yaml", "newer.yaml"}}, refused: []string{
		"newer.yaml:14: worker.models: isn't supported: rhumb runs no language models | leave it out",
		"newer.yaml:16: models: isn't supported: rhumb runs no language models | leave it out"}},
}

func TestRealisticStacksAreUnderstood(t *testing.T) {
	t.Parallel()
	for name, tc := range stacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.Abs(filepath.Join("testdata", "stacks", tc.folder))
			if err != nil {
				t.Fatal(err)
			}
			tc.opts.Dir = dir
			p, err := Load(t.Context(), tc.opts)
			if diff := cmp.Diff(tc.refused, told(err)); diff != "" {
				t.Fatalf("refused (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			same(t, "notes", notesOf(p), tc.notes)
			tc.facts(t, p)
		})
	}
}

// container returns the container of a service.
func container(p *Project, service string) rhumb.Container { return p.Stack.Service(service).Container }

// mounted returns a service's mounts: "source:target", with :ro.
func mounted(p *Project, service string) []string {
	var list []string
	for _, m := range container(p, service).Mounts {
		s := strings.ReplaceAll(m.Source, p.Dir, "DIR") + ":" + m.Target
		if m.ReadOnly {
			s += ":ro"
		}
		list = append(list, s)
	}
	return list
}

// names returns the names of the stack's services.
func names(p *Project) []string {
	var list []string
	for _, s := range p.Stack.Services {
		list = append(list, s.Name)
	}
	return list
}

// awaits returns which services a service waits for, and how.
func awaits(p *Project, service string) map[string]rhumb.Condition {
	on := map[string]rhumb.Condition{}
	for _, d := range p.Stack.Service(service).DependsOn {
		on[d.Service] = d.Condition
	}
	return on
}

func blogFacts(t *testing.T, p *Project) {
	same(t, "services", names(p), []string{"db", "wordpress"})
	wp, db := container(p, "wordpress"), container(p, "db")
	same(t, "ports", p.Stack.Service("wordpress").Ports,
		[]rhumb.Port{{Published: 8080, Target: 80, Protocol: rhumb.TCP},
			{HostIP: "127.0.0.1", Published: 8443, Target: 443, Protocol: rhumb.TCP}})
	same(t, "limits", wp.Resources, rhumb.Resources{Memory: 512 << 20, NanoCPUs: 750_000_000})
	same(t, "PHP", wp.Env["WORDPRESS_CONFIG_EXTRA"], "define('WP_MEMORY_LIMIT', '256M');\n$table_prefix = 'blog_';\n")
	same(t, "a number", wp.Env["WORDPRESS_DEBUG"], "0")
	same(t, "labels", wp.Labels, map[string]string{"com.example.role": "front", "com.example.backup": ""})
	same(t, "mounts", mounted(p, "wordpress"),
		[]string{"blog_html:/var/www/html", "uploads.ini:/usr/local/etc/php/conf.d/uploads.ini:ro",
			"/etc/localtime:/etc/localtime:ro", "db_password:/run/secrets/db_password:ro"})
	same(t, "the link's name", db.Networks,
		[]rhumb.Attachment{{Network: "blog_default", Aliases: []string{"db", "mysql"}}})
	same(t, "command", db.Command, []string{"--transaction-isolation=READ-COMMITTED", "--binlog-format=ROW"})
	same(t, "a variable passed on", db.Env["TZ"], "Europe/Riga")
	same(t, "health", db.Health,
		&rhumb.Healthcheck{Test: []string{"CMD-SHELL", "healthcheck.sh --connect --innodb_initialized"},
			Interval: 10 * time.Second, Timeout: 5 * time.Second, Retries: 5})
}

func adminFacts(t *testing.T, p *Project) {
	same(t, "services", names(p), []string{"db", "phpmyadmin", "wordpress"})
	same(t, "a volume", mounted(p, "db")[0], "diary_db:/var/lib/mysql")
}

func cloudFacts(t *testing.T, p *Project) {
	app, cron, db, redis := container(p, "app"), container(p, "cron"), container(p, "db"), container(p, "redis")
	same(t, "image", app.Image, "nextcloud:29-fpm-alpine")
	same(t, "env files", app.Env,
		map[string]string{"POSTGRES_DB": "cloud", "POSTGRES_USER": "cloud", "POSTGRES_PASSWORD": "p#ss w0rd",
			"POSTGRES_HOST": "db",
			"REDIS_HOST":    "redis", "NEXTCLOUD_TRUSTED_DOMAINS": "cloud.example.com office.example.com",
			"PHP_MEMORY_LIMIT": "1G"})
	same(t, "cron is the app's twin", []any{cron.Image, cron.Env, cron.Logging, awaits(p, "cron")},
		[]any{app.Image, app.Env, app.Logging, awaits(p, "app")})
	same(t, "cron's own", []any{cron.Entrypoint, cron.StopGrace}, []any{[]string{"/cron.sh"}, 90 * time.Second})
	same(t, "hosts", app.ExtraHosts, []string{"host.docker.internal:host-gateway", "office.example.com:10.20.0.5"})
	same(t, "memory file system", app.Mounts[2],
		rhumb.Mount{Type: rhumb.MountTmpfs, Target: "/tmp", Size: 256 << 20, Mode: 0o1777})
	same(t, "sysctls", app.Sysctls, map[string]string{"net.core.somaxconn": "1024"})
	same(t, "web awaits", awaits(p, "web"),
		map[string]rhumb.Condition{"app": rhumb.DependsStarted, "db": rhumb.DependsHealthy, "redis": rhumb.DependsStarted})
	same(t, "web's mounts", mounted(p, "web"),
		[]string{"cloud_app:/var/www/html:ro", "nginx.conf:/etc/nginx/nginx.conf:ro"})
	same(t, "$$", db.Health.Test[1], "pg_isready -U ${POSTGRES_USER} -d ${POSTGRES_DB}")
	same(t, "shared memory", db.Resources.ShmSize, int64(256<<20))
	same(t, "redis", []any{redis.Command[2], redis.Health.Test}, []any{"s3cret", []string{"NONE"}})
	same(t, "networks", p.Stack.Networks,
		[]rhumb.Network{{Key: "back", Name: "cloud_back", Internal: true}, {Key: "front", Name: "cloud_front"}})
	same(t, "a volume over NFS", p.Stack.Volumes[1].DriverOpts,
		map[string]string{"type": "nfs", "o": "addr=10.20.0.9,nolock,soft,rw", "device": ":/export/cloud"})
}

func forgeFacts(t *testing.T, p *Project) {
	server := container(p, "server")
	same(t, "networks", server.Networks, []rhumb.Attachment{{Network: "forge_gitea", Aliases: []string{"server", "gitea"}},
		{Network: "web_proxy", Aliases: []string{"server", "git", "gitea"}}})
	same(t, "an external network", p.Stack.Networks[1], rhumb.Network{Key: "proxy", Name: "web_proxy", External: true})
	same(t, "a default", server.Env["GITEA__server__ROOT_URL"], "https://git.example.com/")
	same(t, "mounts", mounted(p, "server"),
		[]string{"DIR/data:/data", "/etc/timezone:/etc/timezone:ro", "/etc/localtime:/etc/localtime:ro",
			"/home/git/.ssh/:/data/git/.ssh"})
	same(t, "ports", p.Stack.Service("server").Ports,
		[]rhumb.Port{{Published: 3000, Target: 3000, Protocol: rhumb.TCP}, {Published: 222, Target: 22, Protocol: rhumb.TCP}})
	same(t, "order", p.Stack.Service("server").OrderWhy, "mounts folder data read-write")
	same(t, "the runner awaits", p.Stack.Service("runner").DependsOn,
		[]rhumb.Dependency{{Service: "server", Condition: rhumb.DependsHealthy, Restart: true}})
}

func shopFacts(t *testing.T, p *Project) {
	web, worker, beat, migrate := p.Stack.Service("web"), p.Stack.Service("worker"), p.Stack.Service("beat"),
		p.Stack.Service("migrate")
	same(t, "builds", len(p.Builds), 4)
	same(t, "a build", web.Build,
		&rhumb.Build{Context: "web", Target: "production",
			Args: map[string]string{"PYTHON_VERSION": "3.12", "PIP_NO_CACHE_DIR": "1"}, CacheFrom: []string{"shop-web:latest"}})
	same(t, "a folded command", web.Container.Command,
		[]string{"gunicorn", "shop.wsgi:application", "--bind", "0.0.0.0:8000", "--workers", "3"})
	same(t, "merged variables", worker.Container.Env, map[string]string{
		"DJANGO_SETTINGS_MODULE": "shop.settings", "DATABASE_URL": "postgres://shop:shop@db:5432/shop",
		"CELERY_BROKER_URL": "redis://redis:6379/0", "C_FORCE_ROOT": "false"})
	same(t, "limits", worker.Container.Resources,
		rhumb.Resources{NanoCPUs: 1_500_000_000, Memory: 768 << 20, MemoryReservation: 256 << 20, PidsLimit: 200})
	same(t, "restarts", worker.Restart,
		rhumb.Restart{Condition: rhumb.RestartOnFailure, Delay: 5 * time.Second, MaxAttempts: 3})
	same(t, "replicas", []int{web.Replicas, worker.Replicas, beat.Replicas}, []int{2, 2, 1})
	same(t, "beat's deploy replaces the worker's", beat.Container.Resources, rhumb.Resources{})
	same(t, "migrate", []any{migrate.Job, migrate.Restart.Condition, awaits(p, "migrate")},
		[]any{true, rhumb.RestartNone, map[string]rhumb.Condition{"db": rhumb.DependsHealthy}})
	same(t, "web awaits", awaits(p, "web"),
		map[string]rhumb.Condition{"migrate": rhumb.DependsCompleted, "redis": rhumb.DependsStarted})
	same(t, "update", []any{web.Update, web.Order},
		[]any{rhumb.Policy{Parallelism: 1, Delay: 2 * time.Second, OnFailure: rhumb.ActionRollback}, rhumb.StartFirst})
	key := web.Container.Mounts[2]
	same(t, "a secret", []any{key.Target, key.UID, key.Mode, string(p.Stack.Files[1].Content)},
		[]any{"/run/secrets/django_key", "1000", uint32(0o400), "k"})
	same(t, "nginx", mounted(p, "nginx"),
		[]string{"shop_static:/srv/static:ro", "shop_media:/srv/media:ro", "site:/etc/nginx/conf.d/default.conf:ro"})
	same(t, "ulimits", container(p, "redis").Ulimits,
		[]rhumb.Ulimit{{Name: "nofile", Soft: 20000, Hard: 40000}, {Name: "nproc", Soft: 65535, Hard: 65535}})
}

func deskFacts(t *testing.T, p *Project) {
	same(t, "services", names(p), []string{"db", "redis", "sidekiq", "web", "web.pre_start.1"})
	web, sidekiq, hook := container(p, "web"), container(p, "sidekiq"), container(p, "web.pre_start.1")
	env := map[string]string{"RAILS_ENV": "production", "RAILS_LOG_TO_STDOUT": "1", "RAILS_MASTER_KEY": "m",
		"DATABASE_URL": "postgresql://desk@db/desk",
		"REDIS_URL":    "redis://redis:6379/1", "SMTP_ADDRESS": "smtp.example.com", "SMTP_LINE": "from: production"}
	for name, k := range map[string]rhumb.Container{"web": web, "sidekiq": sidekiq, "the hook": hook} {
		same(t, name+"'s variables", k.Env, env)
		same(t, name+" is locked", []any{k.ReadOnly, k.CapDrop, k.SecurityOpt, k.User},
			[]any{true, []string{"ALL"}, []string{"no-new-privileges=true"}, "1000:1000"})
		if !slices.ContainsFunc(k.Mounts,
			func(m rhumb.Mount) bool { return m.Target == "/rails/tmp" && slices.Contains(m.Options, "uid=1000") }) {
			t.Errorf("%s has %+v", name, k.Mounts)
		}
	}
	same(t, "an HTTP port", p.Stack.Service("web").Ports,
		[]rhumb.Port{{Published: 80, Target: 3000, Protocol: rhumb.HTTP}})
	same(t, "web's readiness", p.Stack.Service("web").Ready, rhumb.Ready{Kind: rhumb.ReadyHTTP, Path: "/up", Port: 3000})
	same(t, "the hook's limit", p.Stack.Service("web.pre_start.1").Ready.Timeout, 5*time.Minute)
	same(t, "pre_stop", p.Stack.Service("web").PreStop[0].Command, []string{"sh", "-c", "kill -TSTP 1; sleep 2"})
	same(t, "sidekiq stops", []any{sidekiq.StopSignal, sidekiq.StopGrace}, []any{"TSTP", 30 * time.Second})
	zero := int64(0)
	same(t, "redis", container(p, "redis").Resources,
		rhumb.Resources{MemorySwap: -1, MemorySwappiness: &zero, OOMScoreAdj: -100})
}

func socialFacts(t *testing.T, p *Project) {
	same(t, "services", names(p), []string{"app", "postgres", "queue", "redis", "search", "stream"})
	same(t, "ulimits", container(p, "search").Ulimits,
		[]rhumb.Ulimit{{Name: "memlock", Soft: -1, Hard: -1}, {Name: "nofile", Soft: 65536, Hard: 65536}})
	same(t, "a variable with a dot", container(p, "search").Env["discovery.type"], "single-node")
	same(t, "an env file", container(p, "app").Env, map[string]string{"PUBLIC_NAME": "social.example.com",
		"DATABASE": "postgres://social@postgres", "MAIL_PASSWORD": "", "SESSION_KEY": "abc$1def"})
	same(t, "ports", p.Stack.Service("stream").Ports,
		[]rhumb.Port{{HostIP: "127.0.0.1", Published: 4000, Target: 4000, Protocol: rhumb.TCP}})
	same(t, "networks", p.Stack.Networks,
		[]rhumb.Network{{Key: "inside", Name: "social_inside", Internal: true}, {Key: "outside", Name: "social_outside"}})
	same(t, "mounts", mounted(p, "app"), []string{"DIR/public/media:/srv/public/media"})
	same(t, "an escape in quotes", container(p, "queue").Health.Test[1], "ps ax | grep '[s]idekiq 7'")
}

func watchFacts(t *testing.T, p *Project) {
	prometheus, node, cadvisor := container(p, "prometheus"), container(p, "node-exporter"), container(p, "cadvisor")
	same(t, "an address", prometheus.Networks[0].IPv4, "172.31.250.10")
	same(t, "addresses", p.Stack.Networks[0].IPAM,
		rhumb.IPAM{Driver: "default", Pools: []rhumb.Pool{{Subnet: "172.31.250.0/24", Gateway: "172.31.250.1"}}})
	same(t, "logging", prometheus.Logging, rhumb.Logging{Driver: "local", Options: map[string]string{"max-size": "5m"}})
	same(t, "ports", p.Stack.Service("alertmanager").Ports,
		[]rhumb.Port{{Published: 9093, Target: 9093, Protocol: rhumb.TCP},
			{Published: 9094, Target: 9094, Protocol: rhumb.TCP}, {Published: 9094, Target: 9094, Protocol: rhumb.UDP}})
	config := string(p.Stack.Files[0].Content)
	if !strings.Contains(config, `{to: "ops@example.com", auth_password: "${SMTP_PASSWORD}"}`) {
		t.Errorf("the config is %s", config)
	}
	same(t, "an external secret", p.Stack.Files[1],
		rhumb.File{Kind: rhumb.FileSecret, Name: "grafana_admin", External: "grafana_admin"})
	same(t, "an external volume", p.Stack.Volumes[0],
		rhumb.Volume{Key: "grafana", Name: "grafana-storage", External: true})
	same(t, "booleans", container(p, "grafana").Env["GF_USERS_ALLOW_SIGN_UP"], "false")
	same(t, "a route", []any{p.Stack.Service("grafana").Routes, p.Stack.Service("grafana").TLS.Source},
		[]any{[]rhumb.Route{{Host: "grafana.example.com", Port: 3000}}, rhumb.CertACME})
	same(t, "the host's namespaces", []any{node.PID, node.NetworkMode, node.CapAdd, node.Mounts[0].Propagation},
		[]any{"host", "host", []string{"SYS_TIME"}, "rslave"})
	same(t, "$$", node.Command[1], "--collector.filesystem.mount-points-exclude=^/(sys|proc|dev|host|etc)($|/)")
	same(t, "a device", []any{cadvisor.Privileged, cadvisor.Devices},
		[]any{true, []rhumb.Device{{Source: "/dev/kmsg", Target: "/dev/kmsg", Permissions: "rwm"}}})
}

func counterFacts(t *testing.T, p *Project) {
	same(t, "files", p.Files, []string{"compose.yml", "compose.override.yml"})
	app := p.Stack.Service("counter")
	same(t, "the override's ports", app.Ports,
		[]rhumb.Port{{Published: 80, Target: 80, Protocol: rhumb.TCP}, {Published: 443, Target: 443, Protocol: rhumb.TCP}})
	same(t, "command", app.Container.Command, []string{"sh", "-c", "/app/ctl migrate && exec /app/ctl serve"})
	same(t, "variables", app.Container.Env, map[string]string{"TMPDIR": "/var/lib/counter/tmp",
		"BASE_URL": "https://stats.example.com", "SECRET_KEY": "c2VjcmV0", "HTTP_PORT": "80", "SIGN_UP": "invited"})
	same(t, "it awaits", awaits(p, "counter"),
		map[string]rhumb.Condition{"accounts": rhumb.DependsHealthy, "events": rhumb.DependsHealthy})
	events := container(p, "events")
	same(t, "ulimits", [][]rhumb.Ulimit{events.Ulimits, app.Container.Ulimits},
		[][]rhumb.Ulimit{{{Name: "nofile", Soft: 262144, Hard: 262144}}, {{Name: "nofile", Soft: 65535, Hard: 65535}}})
	same(t, "capabilities", events.CapAdd, []string{"SYS_NICE", "IPC_LOCK"})
	same(t, "a volume", events.Mounts[0],
		rhumb.Mount{Type: rhumb.MountVolume, Source: "counter_events", Target: "/var/lib/clickhouse", NoCopy: true})
	same(t, "a memory file system", events.Mounts[1],
		rhumb.Mount{Type: rhumb.MountTmpfs, Target: "/var/log/clickhouse-server", Size: 64 << 20})
	same(t, "files of the release", []any{events.Mounts[2].Type, events.Mounts[3].Source},
		[]any{rhumb.MountFile, "clickhouse/listen.xml"})
	same(t, "health", *events.Health, rhumb.Healthcheck{
		Test: []string{"CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:8123/ping || exit 1"}, StartPeriod: time.Minute})
}

func edgeFacts(t *testing.T, p *Project) {
	traefik, whoami, api := container(p, "traefik"), container(p, "whoami"), container(p, "api")
	same(t, "ports", p.Stack.Service("traefik").Ports[1:], []rhumb.Port{{Published: 443, Target: 443, Protocol: rhumb.TCP},
		{Published: 443, Target: 443, Protocol: rhumb.UDP},
		{HostIP: "::1", Published: 8080, Target: 8080, Protocol: rhumb.TCP}})
	same(t, "labels in a list",
		[]string{traefik.Labels["traefik.http.middlewares.auth.basicauth.users"],
			traefik.Labels["traefik.http.routers.dashboard.rule"]},
		[]string{"admin:$apr1$abc$defghi/",
			"Host(`traefik.example.com`) && (PathPrefix(`/api`) || PathPrefix(`/dashboard`))"})
	same(t, "labels that were extended", whoami.Labels,
		map[string]string{"traefik.enable": "true", "traefik.http.services.app.loadbalancer.server.port": "80",
			"traefik.http.routers.whoami.rule": "Host(`whoami.example.com`)"})
	same(t, "limits that were extended", whoami.Resources, rhumb.Resources{CPUShares: 512, PidsLimit: 100})
	same(t, "a path of the file that is extended", mounted(p, "whoami"), []string{"DIR/services/pages:/pages:ro"})
	same(t, "an include's variable", api.Image, "acme/api:1.4")
	same(t, "a path of the project", mounted(p, "api"), []string{"services/api.env:/etc/api.env:ro"})
	same(t, "an include's override", []any{api.Env, api.Networks},
		[]any{map[string]string{"LEVEL": "debug"},
			[]rhumb.Attachment{{Network: "edge", Aliases: []string{"api", "api.internal"}}}})
	same(t, "labels of deploy", api.Labels, map[string]string{"traefik.http.routers.api.rule": "Host(`api.example.com`)"})
	same(t, "replicas", p.Stack.Service("api").Replicas, 3)
	same(t, "networks", p.Stack.Networks, []rhumb.Network{{Key: "default", Name: "edge_default"},
		{Key: "edge", Name: "edge", Attachable: true,
			DriverOpts: map[string]string{"com.docker.network.bridge.name": "br-edge"}}})
}

func flowFacts(t *testing.T, p *Project) {
	worker := p.Stack.Service("worker")
	same(t, "variables", container(p, "server").Env,
		map[string]string{"DB_TYPE": "postgresdb", "DB_POSTGRESDB_HOST": "postgres", "DB_POSTGRESDB_DATABASE": "n8n",
			"DB_POSTGRESDB_PASSWORD": "pw", "EXECUTIONS_MODE": "queue", "N8N_ENCRYPTION_KEY": "pw"})
	same(t, "variables passed on", container(p, "postgres").Env,
		map[string]string{"POSTGRES_DB": "n8n", "POSTGRES_PASSWORD": "pw"})
	same(t, "a check with a variable", container(p, "postgres").Health.Test[1], "pg_isready -d n8n")
	same(t, "the server awaits", awaits(p, "server"),
		map[string]rhumb.Condition{"redis": rhumb.DependsHealthy, "postgres": rhumb.DependsHealthy})
	same(t, "the worker awaits", awaits(p, "worker"),
		map[string]rhumb.Condition{"server": rhumb.DependsStarted, "postgres": rhumb.DependsStarted,
			"redis": rhumb.DependsStarted})
	same(t, "the worker", []any{worker.Container.Command, worker.Replicas, worker.OrderWhy},
		[]any{[]string{"worker"}, 2, "mounts volume flows read-write"})
	same(t, "GPUs", worker.Container.Resources.GPUs,
		[]rhumb.GPU{{Driver: "nvidia", Count: -1, Capabilities: []string{"gpu"}}})
}
