package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/preflight"
	"rhumb/cmd/rhumb/server"
	"rhumb/httpapi/client"
	"rhumb/install"
	"rhumb/internal/pause"
)

func installCommand(a *cli.App) *cobra.Command {
	conf := server.DefaultConfig()
	var dryRun, noStart bool
	var cmd *cobra.Command
	cmd = a.Command("install [flags]", "Install rhumb on this machine: program, services, settings", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if err := conf.Installed(install.Machine{}, cmd.Flags()); err != nil {
				return err
			}
			if err := conf.Validate(); err != nil {
				return err
			}
			for _, file := range conf.Observer.Exposed() {
				fmt.Fprintf(a.Stderr, "warning: all users can read %s: chmod 600 it\n", file)
			}
			given := server.Given(cmd.Flags()) // with absolute paths
			if given["RHUMB_OBSERVE"] == "own" {
				given["RHUMB_OBSERVE"] = "external" // its own service keeps it running
			}
			want := install.Wanted{Settings: given, Data: conf.Data, Stopped: noStart}
			var err error
			if want.Completions, err = completions(cmd.Root()); err != nil {
				return err
			}
			return installHere(ctx, a, conf, want, dryRun)
		})
	cmd.Long = "Install this program as /usr/local/bin/rhumb with the systemd services rhumb (the daemon),\n" +
		"rhumb-proxy and rhumb-observe (it keeps logs), and start them. Run it again with a newer program or\n" +
		"other flags to update the installation. It keeps the flags in " + install.Settings + "."
	conf.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be done and do nothing")
	cmd.Flags().BoolVar(&noStart, "no-start", false, "don't start, reload or restart the services")
	return cmd
}

// installHere brings this machine to the running program and to what is wanted.
func installHere(ctx context.Context, a *cli.App, conf server.Config, want install.Wanted, dryRun bool) error {
	m := install.Machine{}
	var err error
	if want.Binary, err = os.ReadFile("/proc/self/exe"); err != nil {
		return rhumb.Errorf(rhumb.Internal, "can't read this program: %w", err)
	}
	if err := preflight.Systemd(m); err != nil {
		return err
	}
	facts, err := m.Look(ctx, conf.Data)
	if err != nil {
		return err
	}
	steps := install.Plan(want, facts)
	if dryRun {
		fmt.Fprint(a.Stdout, install.Text(steps))
		return nil
	}
	if err := preflight.Root("install"); err != nil {
		return err
	}
	if !want.Stopped {
		if err := preflight.Start(ctx, conf, facts); err != nil {
			return err
		}
	}
	if len(steps) == 0 {
		return &cli.Outcome{Words: "nothing changed: rhumb " + a.Version + " is installed"}
	}
	if err := m.Perform(ctx, steps, func(s install.Step) { fmt.Fprintln(a.Stdout, s) }); err != nil {
		return err
	}
	if want.Stopped {
		return &cli.Outcome{Words: "rhumb " + a.Version + " is installed; nothing was started"}
	}
	return welcome(ctx, a, conf)
}

// completions returns the completion scripts of the command line root, by shell.
func completions(root *cobra.Command) (map[string][]byte, error) {
	made := map[string][]byte{}
	for shell, generate := range map[string]func(io.Writer) error{
		"bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
		"zsh":  root.GenZshCompletion,
	} {
		var b bytes.Buffer
		if err := generate(&b); err != nil {
			return nil, rhumb.Errorf(rhumb.Internal, "can't generate the completion for %s: %w", shell, err)
		}
		made[shell] = b.Bytes()
	}
	return made, nil
}

// welcome waits for the server and describes the installation.
func welcome(ctx context.Context, a *cli.App, conf server.Config) error {
	c, err := client.New("unix://" + conf.Socket)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var info rhumb.ServerInfo
	for {
		if info, err = c.Info(ctx); err == nil && info.Proxy {
			break
		}
		if !pause.For(ctx, 200*time.Millisecond) {
			return rhumb.Errorf(rhumb.Unavailable, "the services were started but don't answer: %w",
				errors.Join(err, ctx.Err())).
				WithHint("see why: journalctl -n 30 -u rhumb -u rhumb-proxy")
		}
	}
	return &cli.Outcome{Words: fmt.Sprintf(`rhumb %s is installed and serves
  state     %s
  settings  %s
  services  rhumb, rhumb-proxy, rhumb-observe: systemctl status 'rhumb*'
  logs      journalctl -u 'rhumb*'
  who       root and the group %s: usermod -aG %s NAME`, info.Version, conf.Data, install.Settings,
		install.Group, install.Group)}
}
