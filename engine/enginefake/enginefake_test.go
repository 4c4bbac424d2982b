package enginefake_test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
	"rhumb/engine/enginetest"
)

func TestTheFakeKeepsTheContract(t *testing.T) {
	image := rhumb.Image{Ref: "app", ID: enginefake.ImageID("app")}
	declaring := rhumb.Image{Ref: "declaring", ID: enginefake.ImageID("declaring"), Volumes: []string{"/data"}}
	open := func(t *testing.T) rhumb.Engine {
		e := enginefake.New(time.Now)
		e.KeepLogFiles(t.TempDir(), 0, 0)
		e.Interpret(interpret)
		e.Image(declaring)
		e.AddImage("app")
		e.AddImage("declaring")
		return e
	}
	fake := func(e rhumb.Engine) *enginefake.Engine { return e.(*enginefake.Engine) }
	enginetest.Run(t, open, enginetest.Options{
		Image: image, Declaring: declaring,
		NewImage: func(_ *testing.T, e rhumb.Engine, ref string) rhumb.Image {
			fake(e).AddImage(ref)
			return rhumb.Image{Ref: ref, ID: enginefake.ImageID(ref), Pulled: true}
		},
		Built: func(_ *testing.T, e rhumb.Engine, ref string) rhumb.Image {
			fake(e).AddBuilt(ref)
			return rhumb.Image{Ref: ref, ID: enginefake.ImageID(ref), Pulled: true}
		},
		AddNetwork: func(_ *testing.T, e rhumb.Engine, name string) { fake(e).AddNetwork(name) },
		AddVolume:  func(_ *testing.T, e rhumb.Engine, name string) { fake(e).AddVolume(name) },
		Hosts:      func(_ *testing.T, e rhumb.Engine, id string) map[string]string { return fake(e).Hosts(id) },
		Disconnect: func(_ *testing.T, e rhumb.Engine, id, network string) { fake(e).Disconnect(id, network) },
		Kill:       func(_ *testing.T, e rhumb.Engine, id string) { fake(e).Kill(id, 137) },
		Clear:      func(*testing.T, rhumb.Engine, string) {},
		Away: func(*testing.T) rhumb.Engine {
			e := enginefake.New(time.Now)
			e.Away(true)
			return e
		},
	})
}

// interpret returns the behaviour of the contract's program.
func interpret(s rhumb.ReplicaSpec) enginefake.Behaviour {
	c := &s.Container
	if len(c.Entrypoint) > 0 && c.Entrypoint[0] != "/app" {
		return enginefake.Behaviour{CannotStart: c.Entrypoint[0] + ": no such file or directory"}
	}
	if len(c.Command) == 0 {
		c.Command = []string{"trap", "sleep", "1h"}
	}
	p := program{spec: s}
	b := enginefake.Behaviour{Exec: carryOut, Probe: probe}
	b.ExitCode = p.run(c.Command)
	b.Output, b.ExitAfter, b.IgnoresStop = p.output, p.slept, p.ignores
	b.ExitAtOnce = p.slept < time.Hour
	if p.slept >= time.Hour {
		b.ExitAfter = 0
	}
	return b
}

// program is one run of the contract's program, without the waiting.
type program struct {
	spec    rhumb.ReplicaSpec
	env     []string
	output  []string
	slept   time.Duration
	ignores bool
}

func (p *program) run(args []string) int {
	for len(args) > 0 {
		verb := args[0]
		arg := ""
		if args = args[1:]; verb != "ignore" && verb != "trap" && verb != "copy" {
			arg, args = args[0], args[1:]
		}
		switch verb {
		case "print":
			p.output = append(p.output, arg)
		case "err":
			p.output = append(p.output, "!"+arg)
		case "exit":
			code, _ := strconv.Atoi(arg)
			return code
		case "sleep":
			d, _ := time.ParseDuration(arg)
			p.slept += d
		case "ignore":
			p.ignores = true
		case "trap":
		case "cat":
			p.output = append(p.output, p.file(arg)...)
		case "env":
			for _, e := range p.env {
				if v, ok := strings.CutPrefix(e, arg+"="); ok {
					p.output = append(p.output, v)
				}
			}
		}
	}
	return 0
}

// file returns the lines of a mounted file.
func (p *program) file(target string) []string {
	for _, m := range p.spec.Container.Mounts {
		for _, f := range p.spec.Files {
			if m.Target == target && f.Kind == m.Kind && f.Name == m.Source {
				var lines []string
				for line := range strings.Lines(string(f.Content)) {
					lines = append(lines, strings.TrimSuffix(line, "\n"))
				}
				return lines
			}
		}
	}
	return nil
}

func carryOut(o rhumb.ExecOptions) int {
	if o.Command[len(o.Command)-1] == "copy" {
		_, _ = io.Copy(o.Streams.Out, o.Streams.In)
		return 0
	}
	p := program{env: o.Env}
	code := p.run(o.Command[1:])
	for _, l := range p.output {
		if l, ok := strings.CutPrefix(l, "!"); ok {
			fmt.Fprintln(o.Streams.Err, l)
			continue
		}
		fmt.Fprintln(o.Streams.Out, l)
	}
	return code
}

func probe(check rhumb.Healthcheck) error {
	if len(check.Test) == 0 || check.Test[0] == "NONE" {
		return nil
	}
	p := program{}
	code := p.run(check.Test[2:])
	out := strings.Join(p.output, "\n")
	switch {
	case check.Timeout > 0 && p.slept > check.Timeout:
		return rhumb.Errorf(rhumb.Timeout, "%s: took too long", out)
	case code != 0:
		return rhumb.Errorf(rhumb.Internal, "%s", out)
	}
	return nil
}
