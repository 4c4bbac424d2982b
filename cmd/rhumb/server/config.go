package server

import (
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/cmd/rhumb/state"
	"rhumb/httpapi/client"
	"rhumb/proxy"
)

// Config is how a server is configured. DefaultConfig returns the usual one.
type Config struct {
	Data           string   // the state folder
	Socket         string   // where the API answers
	HTTP           string   // the entry: the address where routes by host and path are served
	DockerHost     string   // the engine: "unix:///path"
	KeepReleases   int      // per stack
	DiskLimit      int      // percent at which a disk is too full for anything new; 100: never
	TrustedProxies []string // networks whose X-Forwarded-* are believed
	AcceptProxy    bool     // they begin connections to the entries with a header of the PROXY protocol
	CrowdSec       proxy.CrowdSec
	LogFormat      string // "text" or "json"
	TLS            TLSConfig
	Proxy          string // "own": the server starts it and keeps it running; "external": another service does
	Observe        string // the process that keeps logs: "own" or "external", as Proxy, or "off": there is none
	Observer       ObserverConfig
}

// DefaultConfig returns the configuration of a server without flags.
func DefaultConfig() Config {
	return Config{
		Data: "/var/lib/rhumb", Socket: strings.TrimPrefix(client.DefaultHost, "unix://"), HTTP: ":80",
		DockerHost: "unix:///var/run/docker.sock", KeepReleases: 10, DiskLimit: 90, LogFormat: "text", Proxy: "own",
		Observe: "own", TLS: defaultTLSConfig(), Observer: defaultObserverConfig(),
	}
}

// locate makes the paths absolute.
func (c *Config) locate() error {
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--data %s: %w", c.Data, err)
	}
	if c.Socket, err = filepath.Abs(c.Socket); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--socket %s: %w", c.Socket, err)
	}
	if err := c.locateCrowdSec(); err != nil {
		return err
	}
	if err := c.Observer.Locate(); err != nil {
		return err
	}
	for _, path := range []string{c.Socket, c.folder().ProxySocket(), state.KeptIn(c.folder()).Socket()} {
		if len(path) > maxSocketPath {
			return rhumb.Errorf(rhumb.Invalid, "the path %s is too long for a socket", path).
				WithHint("sockets have paths of at most %d characters", maxSocketPath)
		}
	}
	return nil
}

// Validate makes the paths absolute and refuses what can't work.
func (c *Config) Validate() error {
	if err := c.locate(); err != nil {
		return err
	}
	entry, err := c.Entry()
	if err != nil {
		return err
	}
	if err := c.TLS.validate(entry); err != nil {
		return err
	}
	if c.KeepReleases < 1 {
		return rhumb.Errorf(rhumb.Invalid, "--keep-releases %d: at least the one that serves is kept", c.KeepReleases)
	}
	if c.DiskLimit < 1 || c.DiskLimit > 100 {
		return rhumb.Errorf(rhumb.Invalid, "--disk-limit %d is not a percentage", c.DiskLimit).
			WithHint("from 1 to 100; 100 turns it off")
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		return rhumb.Errorf(rhumb.Invalid, "there is no log format %q", c.LogFormat).WithHint("--log-format is text or json")
	}
	if err := c.validateProcesses(); err != nil {
		return err
	}
	if err := c.Observer.Validate(); err != nil {
		return err
	}
	_, err = Networks(c.TrustedProxies)
	return err
}

func (c *Config) validateProcesses() error {
	if c.Proxy != "own" && c.Proxy != "external" {
		return rhumb.Errorf(rhumb.Invalid, "the proxy can't be %q", c.Proxy).WithHint("--proxy is own or external")
	}
	if c.Observe != "own" && c.Observe != "external" && c.Observe != "off" {
		return rhumb.Errorf(rhumb.Invalid, "observe can't be %q", c.Observe).WithHint("--observe is own, external or off")
	}
	return nil
}

// maxSocketPath is what the kernel allows, with room for a temporary name.
const maxSocketPath = 98

// Entry reads the HTTP address. One without a host is all addresses, IPv4 and IPv6.
func (c *Config) Entry() (netip.AddrPort, error) {
	return entryAddress("--http", c.HTTP, ":80 or 192.0.2.1:80")
}

// Networks reads networks; a bare address is a network of one.
func Networks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		if addr, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "--trusted-proxies: %q is not a network", s).
				WithHint("write 10.0.0.0/8 or 192.0.2.1")
		}
		out = append(out, p)
	}
	return out, nil
}

// Flags adds the flags that "rhumb install" has too, and stores.
func (c *Config) Flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.Data, "data", c.Data, "use this state `FOLDER`")
	fs.StringVar(&c.Socket, "socket", c.Socket, "serve the API at this `SOCKET`")
	fs.StringVar(&c.HTTP, "http", c.HTTP, "serve HTTP routes by host and path at this `ADDRESS`")
	c.TLS.flags(fs)
	fs.StringVar(&c.DockerHost, "docker-host", c.DockerHost, "use the engine at this local unix:// `SOCKET`")
	fs.IntVar(&c.KeepReleases, "keep-releases", c.KeepReleases,
		"keep this `NUMBER` of releases of each stack, with their images")
	fs.IntVar(&c.DiskLimit, "disk-limit", c.DiskLimit,
		"begin no deployment or build on a disk that is fuller than this `PERCENT`; 100: no limit")
	fs.StringSliceVar(&c.TrustedProxies, "trusted-proxies", c.TrustedProxies,
		"believe X-Forwarded-* headers from these `NETWORKS`")
	fs.BoolVar(&c.AcceptProxy, "accept-proxy-protocol", c.AcceptProxy,
		"expect the PROXY protocol from --trusted-proxies, where routes are served")
	c.CrowdSecFlags(fs)
	fs.StringVar(&c.Observe, "observe", c.Observe,
		"keep logs with this `PROCESS`: own (the server keeps it running), external (another service does) or off")
	c.Observer.Flags(fs)
	fs.StringVar(&c.LogFormat, "log-format", c.LogFormat, "log in this `FORMAT`: text or json")
}

// CrowdSecFlags adds the flags of the bans that CrowdSec decides on.
func (c *Config) CrowdSecFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.CrowdSec.URL, "crowdsec", c.CrowdSec.URL,
		"ban as the local API of CrowdSec at this `URL` decides")
	fs.StringVar(&c.CrowdSec.KeyFile, "crowdsec-key-file", c.CrowdSec.KeyFile,
		"use the key in this `FILE` for it, as cscli bouncers add prints it")
}

// locateCrowdSec makes the path of the key absolute, and refuses one of the two flags without the other.
func (c *Config) locateCrowdSec() error {
	if (c.CrowdSec.URL == "") != (c.CrowdSec.KeyFile == "") {
		return rhumb.Errorf(rhumb.Invalid, "--crowdsec and --crowdsec-key-file need each other")
	}
	if c.CrowdSec.KeyFile == "" {
		return nil
	}
	var err error
	if c.CrowdSec.KeyFile, err = filepath.Abs(c.CrowdSec.KeyFile); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--crowdsec-key-file %s: %w", c.CrowdSec.KeyFile, err)
	}
	return nil
}

func (c *Config) folder() state.Folder { return state.Folder(c.Data) }
