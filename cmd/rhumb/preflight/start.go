// Package preflight finds, before anything changes on a machine, what would make the change fail.
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

// Systemd returns Unsupported if the machine's init system is not systemd.
func Systemd(m install.Machine) error {
	if !m.Systemd() {
		return rhumb.Errorf(rhumb.Unsupported, "rhumb install needs systemd, which is not this machine's init system").
			WithHint("let your own supervisor run \"rhumb server\" as root; it also starts the proxy (docs/install.md)")
	}
	return nil
}

// Root returns Denied if the user is not root. what is the command.
func Root(what string) error {
	if os.Geteuid() != 0 {
		return rhumb.Errorf(rhumb.Denied, "rhumb %s needs root", what).WithHint("sudo rhumb %s", what)
	}
	return nil
}

// Start returns an error if something would keep the services from starting.
func Start(ctx context.Context, conf server.Config, facts install.Facts) error {
	if err := engineAnswers(ctx, conf.DockerHost); err != nil {
		return err
	}
	if !facts.Running[install.Daemon] && facts.Data {
		unlock, err := state.Folder(conf.Data).Lock()
		if rhumb.ErrorCode(err) == rhumb.Locked {
			return rhumb.Errorf(rhumb.Locked, "%s: a rhumb server that is not a service uses this state folder", conf.Data).
				WithHint("stop it and install again; its proxy keeps serving until the new one has taken over")
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
		return nil // a proxy that is not a service: the new one takes over its ports
	}
	return portsFree(ctx, conf)
}

// portsFree returns Conflict, with the program that holds the port, if the proxy can't listen at the entry.
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
		return rhumb.Errorf(rhumb.Conflict, "%w", err).
			WithHint("stop the program that holds it, or choose another port: rhumb install --http :8080")
	}
	return nil
}

// engineAnswers returns Unavailable, with a hint how to get an engine, if none answers.
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
		WithHint("install it: apt-get install docker.io on Debian and Ubuntu, dnf install moby-engine on Fedora; " +
			"or docker-ce, see docs.docker.com/engine/install")
}
