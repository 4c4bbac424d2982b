// Package install installs rhumb on a machine with systemd, removes it, and upgrades it. A plan is a list of steps
// that can be printed; Perform carries it out.
package install

import (
	"fmt"
	"io/fs"
	"strings"
)

// The paths of an installation, and its user and group.
const (
	Binary      = "/usr/local/bin/rhumb"
	Settings    = "/etc/rhumb/rhumb.env"
	Daemon      = "rhumb.service"
	Proxy       = "rhumb-proxy.service"
	Observe     = "rhumb-observe.service"
	Group       = "rhumb" // its members may use the server's socket
	User        = "rhumb" // a member of Group, for deployments over ssh
	RunFolder   = "/run/rhumb"
	unitFolder  = "/etc/systemd/system/"
	homeFolder  = "/home/rhumb"
	systemdMark = "/run/systemd/system" // exists if systemd is the first process
)

// completions are the files in which each shell looks for a command's completion.
var completions = map[string]string{
	"bash": "/usr/local/share/bash-completion/completions/rhumb",
	"fish": "/usr/local/share/fish/vendor_completions.d/rhumb.fish",
	"zsh":  "/usr/local/share/zsh/site-functions/_rhumb",
}

// Kind is what a step does.
type Kind string

const (
	Folder Kind = "make"   // a folder, unless it exists
	Write  Kind = "write"  // a file, atomically
	Remove Kind = "remove" // a file or a folder with its contents; a missing one is no error
	Run    Kind = "run"    // a command
)

// Step is one thing to do on the machine.
type Step struct {
	Kind    Kind
	Path    string
	Mode    fs.FileMode // of a folder or file
	Content []byte      // of a file
	Args    []string    // of a command
	Note    string      // its purpose; may be empty
}

// String returns the step as one line.
func (s Step) String() string {
	what := s.Path
	switch s.Kind {
	case Folder:
		what = fmt.Sprintf("%s (%04o)", s.Path, s.Mode)
	case Run:
		what = strings.Join(s.Args, " ")
	}
	if s.Note != "" {
		what += "  # " + s.Note
	}
	return fmt.Sprintf("%-7s %s", s.Kind, what)
}

// Wanted is the state to bring a machine to.
type Wanted struct {
	Binary      []byte
	Settings    map[string]string // variables for the services; others keep their values
	Completions map[string][]byte // by shell
	Data        string            // the state folder
	Stopped     bool              // nothing is started, reloaded or restarted
}

// Facts is the state of a machine.
type Facts struct {
	Files       map[string][]byte // rhumb's files that exist, by path
	Group, User bool
	Data        bool            // the state folder exists
	Running     map[string]bool // Observe: or it starts, which no step waits for
	Enabled     map[string]bool
}

// Plan returns the steps that bring a machine to the wanted state; none if it is there already.
func Plan(w Wanted, f Facts) []Step {
	p := &planner{facts: f}
	if !f.Group {
		p.run("its members may use the server", "groupadd", "--system", Group)
	}
	if !f.User {
		p.run("for deployments over ssh", "useradd", "--system", "--gid", Group, "--create-home", "--home-dir", homeFolder,
			"--shell", "/bin/sh", User)
	}
	if !f.Data {
		p.steps = append(p.steps, Step{Kind: Folder, Path: w.Data, Mode: 0o700, Note: "the state folder"})
	}
	binary := p.write(Binary, w.Binary, 0o755)
	merged := mergeSettings(f.Files[Settings], w.Settings)
	settings := p.write(Settings, merged, 0o640)
	units := map[string]bool{
		Proxy:   p.write(unitFolder+Proxy, []byte(proxyUnit), 0o644),
		Daemon:  p.write(unitFolder+Daemon, []byte(daemonUnit), 0o644),
		Observe: p.write(unitFolder+Observe, []byte(observeUnit(w.Data)), 0o644),
	}
	for _, shell := range []string{"bash", "fish", "zsh"} {
		p.write(completions[shell], w.Completions[shell], 0o644)
	}
	if units[Proxy] || units[Daemon] || units[Observe] {
		p.run("", "systemctl", "daemon-reload")
	}
	if !f.Enabled[Proxy] || !f.Enabled[Daemon] {
		p.run("they start with the machine", "systemctl", "enable", Proxy, Daemon)
	}
	logs := Values(merged)["RHUMB_OBSERVE"] != "off"
	p.enableObserve(logs)
	if !w.Stopped {
		p.start(units, binary || settings, logs)
	}
	return p.steps
}

// start plans that the services run, and run what was written: units by their names, and the program or the settings if
// all is set. logs reports whether logs are kept.
func (p *planner) start(units map[string]bool, all, logs bool) {
	running := p.facts.Running
	switch {
	case !running[Proxy]:
		p.run("", "systemctl", "start", Proxy)
	case all || units[Proxy]:
		p.run("a successor takes the connections over", "systemctl", "reload", Proxy)
	}
	switch {
	case !running[Daemon]:
		p.run("", "systemctl", "start", Daemon)
	case all || units[Daemon]:
		p.run("what serves goes on", "systemctl", "restart", Daemon)
	}
	if logs && (!running[Observe] || all || units[Observe]) {
		p.run("nothing waits for it", "systemctl", "restart", "--no-block", Observe)
	}
}

// enableObserve plans that the service that keeps logs starts with the machine, or that it doesn't run.
func (p *planner) enableObserve(on bool) {
	switch {
	case on && !p.facts.Enabled[Observe]:
		p.run("it keeps logs", "systemctl", "enable", Observe)
	case !on && (p.facts.Enabled[Observe] || p.facts.Running[Observe]):
		p.run("no logs are kept", "systemctl", "disable", "--now", Observe)
	}
}

// PlanRemoval returns the steps that remove rhumb. The state folder, the settings and the user stay, unless purge is
// set; data is the state folder. Containers and volumes stay: they belong to Docker.
func PlanRemoval(f Facts, purge bool, data string) []Step {
	p := &planner{facts: f}
	for _, unit := range []string{Daemon, Observe, Proxy} {
		if f.Running[unit] || f.Enabled[unit] {
			p.run("", "systemctl", "disable", "--now", unit)
		}
	}
	units := p.remove(unitFolder + Daemon)
	units = p.remove(unitFolder+Proxy) || units
	units = p.remove(unitFolder+Observe) || units
	if units {
		p.run("", "systemctl", "daemon-reload")
	}
	for _, shell := range []string{"bash", "fish", "zsh"} {
		p.remove(completions[shell])
	}
	if purge {
		p.steps = append(p.steps, Step{Kind: Remove, Path: data, Note: "releases, secrets, certificates, kept logs"})
		p.remove(Settings)
		if f.User {
			p.run("its home stays", "userdel", User)
		}
		if f.Group {
			p.steps = append(p.steps,
				Step{Kind: Run, Args: []string{"sh", "-c", "! getent group " + Group + " >/dev/null || groupdel " + Group}})
		}
	}
	p.remove(Binary)
	return p.steps
}

type planner struct {
	facts Facts
	steps []Step
}

func (p *planner) run(note string, args ...string) {
	p.steps = append(p.steps, Step{Kind: Run, Args: args, Note: note})
}

// write plans a file unless it exists with this content, and reports whether it did.
func (p *planner) write(path string, content []byte, mode fs.FileMode) bool {
	if have, ok := p.facts.Files[path]; ok && string(have) == string(content) || content == nil {
		return false
	}
	p.steps = append(p.steps, Step{Kind: Write, Path: path, Content: content, Mode: mode})
	return true
}

// remove plans the removal of a file if it exists, and reports whether it did.
func (p *planner) remove(path string) bool {
	if _, ok := p.facts.Files[path]; !ok {
		return false
	}
	p.steps = append(p.steps, Step{Kind: Remove, Path: path})
	return true
}
