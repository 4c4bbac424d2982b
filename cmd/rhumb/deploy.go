package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/compose"
	"rhumb/internal/dockerauth"
	"rhumb/internal/gitrev"
)

func (a *app) deployCommand() *cobra.Command {
	var opts following
	var strategy, note string
	cmd := a.command("deploy [flags]", "Bring a stack to what its Compose file says", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.deploy(ctx, rhumb.Strategy(strategy), note, opts)
	})
	a.projectFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	opts.flags(cmd)
	cmd.Flags().StringVar(&strategy, "strategy", "", "how all services change: rolling or recreate (default: as the Compose file says)")
	cmd.Flags().StringVar(&note, "note", "", "a word for the list of releases")
	return cmd
}

func (a *app) deploy(ctx context.Context, strategy rhumb.Strategy, note string, opts following) error {
	switch strategy {
	case "", rhumb.StrategyRolling, rhumb.StrategyRecreate:
	default:
		return rhumb.Errorf(rhumb.Invalid, "there is no strategy %q", strategy).WithHint("--strategy is rolling or recreate")
	}
	p, err := a.load(ctx)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	began := time.Now()
	v := a.newView(subjectOf(p.Stack))
	r, err := a.request(ctx, c, p, v)
	if err != nil {
		v.close()
		return err
	}
	r.Strategy, r.WaitLock, r.Note = strategy, opts.waitLock, note
	if opts.dryRun {
		v.close()
		plan, err := c.Plan(ctx, r)
		if err != nil {
			return err
		}
		return a.printPlan(plan)
	}
	var d rhumb.Deployment
	err = ticking(ctx, v, func(ctx context.Context) error {
		d, err = c.Deploy(ctx, r, v.event)
		return err
	})
	if err != nil {
		if d, err = adopt(ctx, c, r, began, err); err != nil {
			v.close()
			return err
		}
	}
	return a.conclude(ctx, c, d, v, opts)
}

// adopt finds the deployment that the server may have begun just as the connection broke or the user stopped. If there is none, the
// error stands.
func adopt(ctx context.Context, s rhumb.Deployer, r rhumb.DeployRequest, began time.Time, err error) (rhumb.Deployment, error) {
	if !errors.Is(err, context.Canceled) && rhumb.ErrorCode(err) != rhumb.Unavailable {
		return rhumb.Deployment{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	d, lookErr := s.Deployment(ctx, r.Model.Name, 0)
	if lookErr != nil || d.By != r.By || d.Started.Before(began) {
		return rhumb.Deployment{}, err
	}
	return d, nil
}

// request builds the images that want building, and makes a deploy's request.
func (a *app) request(ctx context.Context, s rhumb.Builder, p *compose.Project, v view) (rhumb.DeployRequest, error) {
	r := rhumb.DeployRequest{Model: p.Stack, By: who()}
	git, err := gitrev.Of(ctx, p.Dir)
	if err != nil {
		v.say("warning: " + err.Error()) // a release without its revision is better than none
	}
	r.Git = git
	config, err := dockerauth.Load(dockerConfig())
	if err != nil {
		return r, err
	}
	var refs []string
	for _, svc := range p.Stack.Services {
		if svc.Build == nil {
			refs = append(refs, svc.Container.Image)
		}
	}
	if r.Auth, err = config.For(ctx, refs); err != nil {
		return r, err
	}
	return r, ticking(ctx, v, func(ctx context.Context) error { return buildImages(ctx, s, p, &r, &config, v) })
}

// dockerConfig is the folder of the user's Docker configuration.
func dockerConfig() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}
