package machine

import (
	"context"
	"os"
	"strings"
	"time"

	moby "github.com/moby/moby/client"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/view"
	"rhumb/doctor"
	"rhumb/httpapi/client"
	"rhumb/install"
)

func doctorCommand(a *cli.App) *cobra.Command {
	conf := server.DefaultConfig()
	var cmd *cobra.Command
	cmd = a.Command("doctor [flags]", "Check the server's machine and report problems", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if err := completeConfig(&conf, install.Machine{}, cmd.Flags()); err != nil {
				return err
			}
			return a.With(func(c *client.Client) error {
				if host := a.Server(); host != "" && !strings.HasPrefix(host, "unix://") {
					return rhumb.Errorf(rhumb.Invalid, "rhumb doctor checks only its own machine, and %s is elsewhere", host).
						WithHint("run it there: ssh USER@HOST rhumb doctor")
				}
				serverEngine(ctx, &conf, c, cmd.Flags())
				return examine(ctx, a, conf, c)
			})
		})
	cmd.Long = "Check the machine, its engine and its rhumb server, and report what is wrong and what to do. It\n" +
		"changes nothing. Run it on the server's own machine, as root to see everything. It exits with 0 if\n" +
		"there is no problem, and with 1 otherwise."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "use this state `FOLDER` if the server doesn't answer")
	cmd.Flags().StringVar(&conf.DockerHost, "docker-host", conf.DockerHost,
		"check the engine at this local unix:// `SOCKET`")
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	cmd.AddCommand(clientAddressCommand(a))
	return cmd
}

// completeConfig fills in settings that are not on the command line, from the environment or the installation.
// Settings that the user may not read are skipped.
func completeConfig(conf *server.Config, m install.Machine, fs *pflag.FlagSet) error {
	if err := conf.Installed(m, fs); err != nil && rhumb.ErrorCode(err) != rhumb.Denied {
		return err
	}
	if v, ok := os.LookupEnv("RHUMB_DOCKER_HOST"); ok && !fs.Changed("docker-host") {
		conf.DockerHost = v
	}
	return nil
}

// serverEngine sets conf to the engine that the running server uses, unless the user named one.
func serverEngine(ctx context.Context, conf *server.Config, s rhumb.Stacks, fs *pflag.FlagSet) {
	if _, ok := os.LookupEnv("RHUMB_DOCKER_HOST"); ok || fs.Changed("docker-host") {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	info, err := s.Info(ctx)                  // examine reports the error
	if err == nil && info.Engine.Host != "" { // an older server doesn't name its engine
		conf.DockerHost = info.Engine.Host
	}
}

// askTimeout limits the query for the engine that the server uses.
const askTimeout = 10 * time.Second

// examine gathers the facts and prints the findings.
func examine(ctx context.Context, a *cli.App, conf server.Config, c *client.Client) error {
	if !strings.HasPrefix(conf.DockerHost, "unix://") {
		return rhumb.Errorf(rhumb.Invalid, "docker host %q is not a unix socket", conf.DockerHost).
			WithHint("use unix:///var/run/docker.sock")
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
		return err // findings of an interrupted check would look like problems
	}
	if !a.JSON() {
		view.Findings(a.Stdout, found)
	} else if err := view.JSON(a.Stdout, view.List(found)); err != nil {
		return err
	}
	if doctor.Count(found, doctor.Problem) > 0 {
		return &cli.Outcome{Exit: rhumb.ExitError}
	}
	return nil
}
