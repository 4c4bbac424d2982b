// Package preflight looks, before anything is changed on a machine, for what would keep that from ending well.
package preflight

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

	moby "github.com/moby/moby/client"

	"rhumb"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/install"
	"rhumb/proxy"
)

// Systemd refuses a machine whose init system is another.
func Systemd(m install.Machine) error {
	if !m.Systemd() {
		return rhumb.Errorf(rhumb.Unsupported, "systemd is not this machine's init system, and rhumb install makes systemd services").
			WithHint("let your own supervisor run \"rhumb server\" as root; it starts the proxy by itself (docs/install.md)")
	}
	return nil
}

// Root refuses a command that only root can carry out, to others.
func Root(what string) error {
	if os.Geteuid() != 0 {
		return rhumb.Errorf(rhumb.Denied, "rhumb %s needs root", what).WithHint("sudo rhumb %s", what)
	}
	return nil
}

// Start looks for what would keep the services from starting.
func Start(ctx context.Context, conf server.Config, facts install.Facts) error {
	if err := engineAnswers(ctx, conf.DockerHost); err != nil {
		return err
	}
	if !facts.Running[install.Daemon] && facts.Data {
		unlock, err := state.Folder(conf.Data).Lock()
		if rhumb.ErrorCode(err) == rhumb.Locked {
			return rhumb.Errorf(rhumb.Locked, "a rhumb server that is no service uses %s", conf.Data).
				WithHint("stop it and install again; its proxy goes on serving until the new one has taken over")
		}
		if err != nil {
			return err
		}
		unlock()
	}
	if facts.Running[install.Proxy] {
		return nil
	}
	if _, err := proxy.Dial(state.Folder(conf.Data).ProxySocket()).Status(ctx); err == nil {
		return nil // one that is no service: ours takes the ports over from it
	}
	return portsFree(ctx, conf)
}

// portsFree tells who holds a port that the proxy is to serve.
func portsFree(ctx context.Context, conf server.Config) error {
	entry, err := conf.Entry()
	if err != nil {
		return err
	}
	p, err := proxy.New(proxy.Options{})
	if err != nil {
		return err
	}
	err = p.Check(ctx, []rhumb.Listener{{Addr: entry, Protocol: rhumb.HTTP}})
	if err != nil {
		return rhumb.Errorf(rhumb.Conflict, "%w", err).WithHint("stop what holds it, or give rhumb another port: rhumb install --http :8080")
	}
	return nil
}

// engineAnswers tells how to get an engine where none answers.
func engineAnswers(ctx context.Context, host string) error {
	engine, err := moby.New(moby.WithHost(host))
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "docker host %q: %w", host, err)
	}
	defer func() { _ = engine.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err = engine.Ping(ctx, moby.PingOptions{}); err == nil {
		return nil
	}
	path := os.Getenv("PATH") + ":/usr/sbin:/sbin"
	for dir := range strings.SplitSeq(path, ":") {
		if _, missing := exec.LookPath(dir + "/dockerd"); missing == nil {
			return rhumb.Errorf(rhumb.Unavailable, "Docker Engine is installed but does not answer at %s: %w", host, err).
				WithHint("start it: systemctl enable --now docker")
		}
	}
	return rhumb.Errorf(rhumb.Unavailable, "Docker Engine is missing: nothing answers at %s", host).
		WithHint("install it: apt-get install docker.io on Debian and Ubuntu, dnf install moby-engine on Fedora; or docker-ce as docs.docker.com/engine/install tells")
}
