package ledger

import (
	"context"
	"fmt"
	"strings"

	"rhumb"
	"rhumb/rollout/diff"
)

// maxNamed is how many differences the event of a deployment names.
const maxNamed = 6

// begun returns the event of a deployment that was opened. Its text names what differs between the two releases:
// "deploy: release 41 to release 42 (image of web, environment DB_POOL of api)". rel is nil if the release is an older
// one.
func (l *Ledger) begun(ctx context.Context, d rhumb.Deployment, rel *rhumb.Release) rhumb.Event {
	text := fmt.Sprintf("%s: %s to %s", d.Cause, orNothing(d.From), orNothing(d.To))
	if what := l.differences(ctx, d, rel); len(what) > 0 {
		more := ""
		if n := len(what) - maxNamed; n > 0 {
			what, more = what[:maxNamed], fmt.Sprintf(" and %d more", n)
		}
		text += fmt.Sprintf(" (%s%s)", strings.Join(what, ", "), more)
	}
	return rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Release: d.To, Phase: d.Phase,
		By: d.By, Text: text}
}

// differences names what differs between the two releases of a deployment. Without one of them, or if one can't be
// read, there is nothing to compare.
func (l *Ledger) differences(ctx context.Context, d rhumb.Deployment, rel *rhumb.Release) []string {
	if d.From == 0 || d.To == 0 {
		return nil
	}
	from, err := l.Release(ctx, d.Stack, d.From)
	if err != nil {
		return nil
	}
	if rel == nil {
		if rel, err = l.Release(ctx, d.Stack, d.To); err != nil {
			return nil
		}
	}
	var words []string
	for _, c := range diff.Stacks(&from.Model, &rel.Model) {
		if c.Verb != "changed" {
			words = append(words, fmt.Sprintf("%s %s", c.Service, c.Verb))
		}
		for _, what := range c.What {
			if c.Service != "" {
				what += " of " + c.Service
			}
			words = append(words, what)
		}
	}
	return words
}

func orNothing(release int) string {
	if release == 0 {
		return "nothing"
	}
	return fmt.Sprintf("release %d", release)
}
