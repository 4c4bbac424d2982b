package change

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
)

func scaleCommand(a *cli.App) *cobra.Command {
	cmd := changing(a, "scale SERVICE=N... [flags]", "Change how many replicas services have",
		cobra.MinimumNArgs(1), scale)
	return a.CompleteServices(cmd, 0, "=")
}

// scale fills in the replicas of the services in args: "web=3".
func scale(r *rhumb.ChangeRequest, args []string) error {
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
}
