package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	moby "github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/doctor"
	"rhumb/httpapi/client"
)

func (a *app) doctorCommand() *cobra.Command {
	conf := defaultServerConfig()
	var cmd *cobra.Command
	cmd = a.command("doctor [flags]", "Look at the server's machine and tell what is wrong with it", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if v, ok := os.LookupEnv("RHUMB_DOCKER_HOST"); ok && !cmd.Flags().Changed("docker-host") {
			conf.DockerHost = v
		}
		return a.with(func(c *client.Client) error { return a.examine(ctx, conf, c) })
	})
	cmd.Long = "Look at the machine, its engine and its rhumb server, and tell what is wrong and what to do. It changes nothing, and runs on the\n" +
		"server's own machine, as root to see everything. It ends with 0 if nothing is a problem, and with 1 otherwise."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "the state folder, should the server not answer")
	cmd.Flags().StringVar(&conf.DockerHost, "docker-host", conf.DockerHost, "the engine: a local unix:// socket")
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

// examine gathers the facts and prints what they mean.
func (a *app) examine(ctx context.Context, conf serverConfig, c *client.Client) error {
	host := a.o.host
	if host == "" {
		host = os.Getenv("RHUMB_HOST")
	}
	if host != "" && !strings.HasPrefix(host, "unix://") {
		return rhumb.Errorf(rhumb.Invalid, "doctor looks at the machine it runs on, and %s is elsewhere", host).
			WithHint("run it there: ssh USER@HOST rhumb doctor")
	}
	if !strings.HasPrefix(conf.DockerHost, "unix://") {
		return rhumb.Errorf(rhumb.Invalid, "docker host %q is not a unix socket", conf.DockerHost).WithHint("write unix:///var/run/docker.sock")
	}
	engine, err := moby.New(moby.WithHost(conf.DockerHost))
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "docker host %q: %w", conf.DockerHost, err)
	}
	defer func() { _ = engine.Close() }()
	here := doctor.Machine{}
	found := doctor.Examine(doctor.Gather(ctx, doctor.Deps{
		Server: c, Engine: engine, Files: here, Kernel: here, Network: here, Docker: conf.DockerHost, Data: conf.Data,
	}))
	if err := ctx.Err(); err != nil {
		return err // what was cut off looks like a problem
	}
	if err := a.printFindings(found); err != nil {
		return err
	}
	if doctor.Count(found, doctor.Problem) > 0 {
		return &outcome{exit: rhumb.ExitError}
	}
	return nil
}

func (a *app) printFindings(found []doctor.Finding) error {
	if a.o.json() {
		return printJSON(a.stdout, list(found))
	}
	p := a.paint(a.stdout)
	colours := map[doctor.Level]string{doctor.OK: "32", doctor.Warning: "33", doctor.Problem: "31"}
	for _, f := range found {
		level := p.code(colours[f.Level], fmt.Sprintf("%-9s", f.Level))
		fmt.Fprintf(a.stdout, "%s%-11s%s\n", level, f.Check, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(a.stdout, "%20s%s %s\n", "", p.dim("hint:"), f.Hint)
		}
	}
	fmt.Fprintln(a.stdout, diagnosis(doctor.Count(found, doctor.Problem), doctor.Count(found, doctor.Warning)))
	return nil
}

// diagnosis is the last line.
func diagnosis(problems, warnings int) string {
	several := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return fmt.Sprintf("%d %ss", n, word)
	}
	switch {
	case problems > 0 && warnings > 0:
		return several(problems, "problem") + ", " + several(warnings, "warning")
	case problems > 0:
		return several(problems, "problem")
	case warnings > 0:
		return "no problem, " + several(warnings, "warning")
	}
	return "all is well"
}
