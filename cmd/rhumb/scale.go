package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
)

func (a *app) scaleCommand() *cobra.Command {
	return a.completeServices(a.changing("scale SERVICE=N... [flags]", "Change how many replicas services have", cobra.MinimumNArgs(1), func(r *rhumb.ChangeRequest, args []string) error {
		r.Cause, r.Scale = rhumb.CauseScale, map[string]int{}
		for _, arg := range args {
			name, count, _ := strings.Cut(arg, "=")
			n, err := strconv.Atoi(count)
			if err != nil || n < 0 || name == "" {
				return rhumb.Errorf(rhumb.Invalid, "%q is not SERVICE=N", arg).WithHint("for example: web=3")
			}
			r.Scale[name] = n
		}
		return nil
	}), 0, "=")
}
