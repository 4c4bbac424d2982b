package install

// The proxy works with network namespaces under /run/netns that outlive it, so it must see the machine's own mounts:
// it gets no mount namespace, and with that none of systemd's ProtectSystem and its kin. It is root, since only root
// (or a member of the group docker, which is the same) may ask the engine; what it may do as root is bounded by the
// lists below. To remove such a namespace wherever it is mounted takes a mount namespace for a moment. Its successor
// is started in here by reload.
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

// The daemon makes the folders that services bind, wherever they are on the machine, and the hosts files of
// containers; gives secrets their owners; and kills what a health check left in a container. It reads /home and /tmp
// for the same folders, so these are not hidden from it.
const daemonUnit = `[Unit]
Description=Rhumb: brings stacks to what their Compose files say
After=network-online.target docker.service ` + Proxy + `
Wants=network-online.target docker.service ` + Proxy + `
StartLimitIntervalSec=0

[Service]
Type=notify
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

// Sockets, configs and secrets lie there, in memory, also while neither of the two runs.
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
