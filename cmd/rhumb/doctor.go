package main

import (
	"context"
	"os"
	"strings"
	"time"

	moby "github.com/moby/moby/client"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/view"
	"rhumb/doctor"
	"rhumb/httpapi/client"
	"rhumb/install"
)

func (a *app) doctorCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var cmd *cobra.Command
	cmd = a.command("doctor [flags]", "Look at the server's machine and tell what is wrong with it", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := lookedAt(&conf, install.Machine{}, cmd.Flags()); err != nil {
			return err
		}
		return a.with(func(c *client.Client) error {
			askedEngine(ctx, &conf, c, cmd.Flags())
			return a.examine(ctx, conf, c)
		})
	})
	cmd.Long = "Look at the machine, its engine and its rhumb server, and tell what is wrong and what to do. It changes nothing, and runs on the\n" +
		"server's own machine, as root to see everything. It ends with 0 if nothing is a problem, and with 1 otherwise."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "the state folder, should the server not answer")
	cmd.Flags().StringVar(&conf.DockerHost, "docker-host", conf.DockerHost, "the engine: a local unix:// socket")
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

// lookedAt fills in what the command line leaves open: from the environment, or from the installation, as far as one may read its settings.
func lookedAt(conf *server.Config, m install.Machine, fs *pflag.FlagSet) error {
	if err := conf.Installed(m, fs); err != nil && rhumb.ErrorCode(err) != rhumb.Denied {
		return err
	}
	if v, ok := os.LookupEnv("RHUMB_DOCKER_HOST"); ok && !fs.Changed("docker-host") {
		conf.DockerHost = v
	}
	return nil
}

// askedEngine takes the engine that the running server uses, where the user names none.
func askedEngine(ctx context.Context, conf *server.Config, s rhumb.Stacks, fs *pflag.FlagSet) {
	if _, ok := os.LookupEnv("RHUMB_DOCKER_HOST"); ok || fs.Changed("docker-host") {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if info, err := s.Info(ctx); err == nil && info.Engine.Host != "" { // an error is told by examine; an older server doesn't say
		conf.DockerHost = info.Engine.Host
	}
}

// askTimeout is how long the server may take to say which engine it uses.
const askTimeout = 10 * time.Second

// examine gathers the facts and prints what they mean.
func (a *app) examine(ctx context.Context, conf server.Config, c *client.Client) error {
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
		Dial: func(socket string) (doctor.Client, error) { return client.New("unix://" + socket) },
	}))
	if err := ctx.Err(); err != nil {
		return err // what was cut off looks like a problem
	}
	if !a.o.json() {
		view.Findings(a.stdout, found)
	} else if err := view.JSON(a.stdout, view.List(found)); err != nil {
		return err
	}
	if doctor.Count(found, doctor.Problem) > 0 {
		return &outcome{exit: rhumb.ExitError}
	}
	return nil
}
