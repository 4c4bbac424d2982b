package docker

import (
	"slices"
	"testing"
)

func TestACheckIsTheCommandThatDockerWouldRun(t *testing.T) {
	for _, c := range []struct{ shell, test, want []string }{
		{nil, nil, nil},
		{nil, []string{"NONE"}, nil},
		{nil, []string{"CMD", "app", "probe"}, []string{"app", "probe"}},
		{nil, []string{"CMD-SHELL", "app probe"}, []string{"/bin/sh", "-c", "app probe"}},
		{nil, []string{"CMD-SHELL", "true", "-U", "shop"}, []string{"/bin/sh", "-c", "true", "-U", "shop"}},
		{[]string{"/bin/bash", "-ec"}, []string{"CMD-SHELL", "true", "-U"}, []string{"/bin/bash", "-ec", "true", "-U"}},
	} {
		if got, err := checkCommand(c.shell, c.test); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q with the shell %q: %q, %v", c.test, c.shell, got, err)
		}
	}
	for _, test := range [][]string{{"CMD"}, {"CMD-SHELL"}, {"true"}} {
		if got, err := checkCommand(nil, test); err == nil {
			t.Errorf("%q: %q", test, got)
		}
	}
}
