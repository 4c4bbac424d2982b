package install

import (
	"path"
	"strings"
)

// The proxy uses network namespaces under /run/netns that outlive it, so it must see the machine's own mounts. It
// gets no mount namespace, and therefore none of the options such as ProtectSystem. It runs as root, since only root
// (or the group docker, which is equivalent) may use the engine; the lists below limit what it can do. To remove a
// namespace wherever it is mounted, it needs a mount namespace for a moment. With CAP_NET_ADMIN it also binds sockets
// to clients' addresses, and keeps the rules and routes for them. A reload starts its successor inside this unit.
const proxyUnit = `[Unit]
Description=Rhumb proxy: owns the published ports
After=network.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=-` + Settings + `
ExecStart=` + Binary + ` proxy
ExecReload=` + Binary + ` proxy --succeed
Restart=always
RestartSec=50ms
KillMode=mixed
TimeoutStopSec=30s
OOMScoreAdjust=-500
LimitNOFILE=1048576
` + runtimeFolder + `
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_ADMIN
` + commonHardening + `
RestrictNamespaces=net mnt
SystemCallFilter=@system-service @mount
UMask=0077

[Install]
WantedBy=multi-user.target
`

// The daemon creates the folders that services bind, wherever they are, and writes the hosts files of containers. It
// sets the owners of secrets, and kills what a health check left behind in a container. It also reads such folders in
// /home and /tmp, so these are not hidden from it.
const daemonUnit = `[Unit]
Description=Rhumb: brings stacks to what their Compose files say
After=network-online.target docker.service ` + Proxy + `
Wants=network-online.target docker.service ` + Proxy + `
StartLimitIntervalSec=0

[Service]
Type=notify
Environment=RHUMB_OBSERVE=external
EnvironmentFile=-` + Settings + `
ExecStart=` + Binary + ` server --proxy external
Restart=always
RestartSec=1s
KillMode=mixed
TimeoutStartSec=90s
TimeoutStopSec=30s
OOMScoreAdjust=-500
LimitNOFILE=1048576
` + runtimeFolder + `
CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_KILL
` + commonHardening + `
RestrictNamespaces=yes
SystemCallFilter=@system-service
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectClock=yes

[Install]
WantedBy=multi-user.target
`

// observeUnit returns the unit of the service that keeps logs and measures, for a server with the state folder data. It
// only reads the files of the engine's containers, which may belong to other users, and writes below its own folder. It
// gets less of the machine than what serves, and is the first to end if memory runs out. It may fail again and again,
// for example on a full disk. After an upgrade that went back to a program that can't keep logs, the condition keeps it
// from starting. Where logs are searched, mincore says which pages of a file are in memory; without it the library
// panics. With adjtimex it asks how far the clock may be off; it has no capability to set it.
func observeUnit(data string) string {
	folder := quotedInUnit(path.Join(data, "observe"))
	return `[Unit]
Description=Rhumb observe: keeps logs and metrics, and serves the dashboard
After=docker.service
StartLimitIntervalSec=0

[Service]
Type=notify
EnvironmentFile=-` + Settings + `
ExecCondition=/bin/sh -c '` + Binary + ` observe --state / --help >/dev/null 2>&1'
ExecStartPre=+/bin/mkdir -p -m 0700 ` + folder + `
ExecStart=` + Binary + ` observe
Restart=always
RestartSec=1s
TimeoutStartSec=5min
TimeoutStopSec=30s
OOMScoreAdjust=500
MemoryHigh=400M
MemoryMax=600M
CPUWeight=50
IOWeight=50
LimitNOFILE=65536
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
` + commonHardening + `
RestrictNamespaces=yes
SystemCallFilter=@system-service mincore adjtimex
ProtectSystem=strict
ReadWritePaths=-` + folder + `
ProtectHome=read-only
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectHostname=yes
UMask=0077

[Install]
WantedBy=multi-user.target
`
}

// quotedInUnit returns a path in the syntax of a unit file.
func quotedInUnit(path string) string {
	path = strings.ReplaceAll(path, "%", "%%")
	if !strings.ContainsAny(path, " \t'\"\\$;") {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$").Replace(path) + `"`
}

// Sockets, configs and secrets are in this folder, in memory. It must outlive both services.
const runtimeFolder = `RuntimeDirectory=rhumb
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes`

const commonHardening = `NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
DevicePolicy=closed
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM`
