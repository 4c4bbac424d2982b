package machine

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	moby "github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/preflight"
	"rhumb/cmd/rhumb/proxyd"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/install"
)

// uninstallFlags holds the flags of uninstall.
type uninstallFlags struct{ dryRun, force, purge, yes bool }

func uninstallCommand(a *cli.App) *cobra.Command {
	conf := server.DefaultConfig()
	var f uninstallFlags
	var cmd *cobra.Command
	cmd = a.Command("uninstall [flags]", "Remove rhumb from this machine; volumes and the state folder stay", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if err := conf.Installed(install.Machine{}, cmd.Flags()); err != nil {
				return err
			}
			return uninstall(ctx, a, conf, f)
		})
	cmd.Long = "Stop and remove the services, the program and the completions. Volumes stay. The state folder, the\n" +
		"settings and the user rhumb stay unless you pass --purge. It refuses while stacks are deployed.\n" +
		"With --force it uninstalls anyway, and their containers keep running without a proxy."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "use this state `FOLDER`")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be done and do nothing")
	cmd.Flags().BoolVar(&f.force, "force", false, "uninstall even while stacks are deployed")
	cmd.Flags().BoolVar(&f.purge, "purge", false, "also remove the state folder, the settings and the user")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "don't ask for confirmation")
	return cmd
}

// uninstall removes the installation, after a confirmation if that deletes the state.
func uninstall(ctx context.Context, a *cli.App, conf server.Config, f uninstallFlags) error {
	m := install.Machine{}
	facts, err := m.Look(ctx, conf.Data)
	if err != nil {
		return err
	}
	steps := install.PlanRemoval(facts, f.purge, conf.Data)
	if f.dryRun {
		fmt.Fprint(a.Stdout, install.Text(steps))
		return nil
	}
	if err := preflight.Root("uninstall"); err != nil {
		return err
	}
	if err := preflight.Uninstall(ctx, conf, facts, f.force); err != nil {
		return err
	}
	if f.purge && !f.yes {
		warning := "this deletes all releases, secrets, certificates and kept logs in " + conf.Data
		if err := a.User().Confirm(ctx, warning, conf.Data); err != nil {
			return err
		}
	}
	folder := state.Folder(conf.Data).Proxy()
	forget := proxyd.Forgetting(folder) // before the folder is removed
	if err := m.Perform(ctx, steps, func(s install.Step) { fmt.Fprintln(a.Stdout, s) }); err != nil {
		return err
	}
	return farewell(ctx, a, conf, f.purge, forget())
}

// farewell removes the contents in memory, if nothing mounts them, and reports what is left. kept is why the kernel
// still has the routing of client addresses or the table of bans; nil: it has not.
func farewell(ctx context.Context, a *cli.App, conf server.Config, purged bool, kept error) error {
	containers, volumes, err := ofStacks(ctx, conf.DockerHost)
	if err == nil && containers == 0 {
		_ = os.RemoveAll(install.RunFolder) // the next boot removes it anyway
	}
	const filter = "--filter label=dev.rhumb.stack"
	left := []string{"rhumb is removed; what stays:"}
	if !purged {
		left = append(left, fmt.Sprintf("  the state   %s (releases, secrets, certificates, kept logs), settings in %s, "+
			"the user %s (--purge removes them)",
			conf.Data, install.Settings, install.User))
	}
	switch {
	case err != nil:
		left = append(left, "  in Docker   containers and volumes of stacks: unknown, Docker can't be queried: "+err.Error())
	default:
		left = append(left, fmt.Sprintf("  in Docker   volumes of stacks: %d (docker volume ls %s)", volumes, filter))
		if containers > 0 {
			left = append(left, fmt.Sprintf("              containers of stacks: %d (docker ps -a %s)", containers, filter))
		}
	}
	if kept != nil {
		left = append(left, fmt.Sprintf("  in the kernel  %v; a restart of the machine removes it", kept))
	}
	return &cli.Outcome{Words: strings.Join(left, "\n")}
}

// ofStacks counts the containers and volumes of all stacks.
func ofStacks(ctx context.Context, host string) (containers, volumes int, err error) {
	engine, err := moby.New(moby.WithHost(host))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = engine.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ours := make(moby.Filters).Add("label", "dev.rhumb.stack")
	cs, err := engine.ContainerList(ctx, moby.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return 0, 0, err
	}
	vs, err := engine.VolumeList(ctx, moby.VolumeListOptions{Filters: ours})
	return len(cs.Items), len(vs.Items), err
}
