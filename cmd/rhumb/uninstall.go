package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	moby "github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/preflight"
	"rhumb/cmd/rhumb/server"
	"rhumb/install"
)

func (a *app) uninstallCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var dryRun, force, purge, yes bool
	var cmd *cobra.Command
	cmd = a.command("uninstall [flags]", "Remove rhumb from this machine; volumes and the state folder stay", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		m := install.Machine{}
		if err := conf.Installed(m, cmd.Flags()); err != nil {
			return err
		}
		facts, err := m.Look(ctx, conf.Data)
		if err != nil {
			return err
		}
		steps := install.PlanRemoval(facts, purge, conf.Data)
		if dryRun {
			fmt.Fprint(a.stdout, install.Text(steps))
			return nil
		}
		if err := preflight.Root("uninstall"); err != nil {
			return err
		}
		if err := preflight.Uninstall(ctx, conf, facts, force); err != nil {
			return err
		}
		if purge && !yes {
			if err := a.user().Confirm(ctx, "This deletes all releases, secrets and certificates in "+conf.Data+".", conf.Data); err != nil {
				return err
			}
		}
		if err := m.Perform(ctx, steps, func(s install.Step) { fmt.Fprintln(a.stdout, s) }); err != nil {
			return err
		}
		return a.farewell(ctx, conf, purge)
	})
	cmd.Long = "Stop and remove the services, the program and the completions. Volumes stay. The state folder, the settings and the\n" +
		"user rhumb stay unless you pass --purge. It refuses while stacks are deployed. With --force it goes on, and their\n" +
		"containers keep running without a proxy."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "use this state `FOLDER`")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be done and do nothing")
	cmd.Flags().BoolVar(&force, "force", false, "uninstall even while stacks are deployed")
	cmd.Flags().BoolVar(&purge, "purge", false, "also remove the state folder, the settings and the user")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask for confirmation")
	return cmd
}

// farewell removes the contents in memory, if nothing mounts them, and reports what is left.
func (a *app) farewell(ctx context.Context, conf server.Config, purged bool) error {
	containers, volumes, err := ofStacks(ctx, conf.DockerHost)
	if err == nil && containers == 0 {
		_ = os.RemoveAll(install.RunFolder) // the next boot removes it anyway
	}
	left := []string{"rhumb is removed; what stays:"}
	if !purged {
		left = append(left, "  the state   "+conf.Data+" (releases, secrets, certificates), settings in "+install.Settings+", the user "+install.User+" (--purge removes them)")
	}
	switch {
	case err != nil:
		left = append(left, "  in Docker   containers and volumes of stacks: unknown, Docker can't be queried: "+err.Error())
	default:
		left = append(left, fmt.Sprintf("  in Docker   volumes of stacks: %d (docker volume ls --filter label=dev.rhumb.stack)", volumes))
		if containers > 0 {
			left = append(left, fmt.Sprintf("              containers of stacks: %d (docker ps -a --filter label=dev.rhumb.stack)", containers))
		}
	}
	return &outcome{words: strings.Join(left, "\n")}
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
