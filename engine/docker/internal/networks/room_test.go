package networks

import (
	"testing"

	cerrdefs "github.com/containerd/errdefs"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
)

func TestASubnetThatAnotherTookIsLookedForAgain(t *testing.T) {
	ns := New(&conn.Conn{})
	for name, c := range map[string]struct {
		err  error
		code rhumb.Code
		lost bool
	}{
		"20.10, a pool that overlaps": {cerrdefs.ErrPermissionDenied.
			WithMessage("Pool overlaps with other one on this address space"), rhumb.Conflict, true},
		"20.10, a bridge that overlaps": {cerrdefs.ErrPermissionDenied.
			WithMessage("cannot create network a (br-a): conflicts with network b (br-b): networks have overlapping IPv4"),
			rhumb.Conflict, true},
		"29, a gateway of another": {cerrdefs.ErrInternal.
			WithMessage("failed to allocate gateway (172.19.0.1): Address already in use"), rhumb.Conflict, true},
		"words of a later engine":   {cerrdefs.ErrInternal.WithMessage("the addresses are gone"), rhumb.Internal, true},
		"a mistake":                 {cerrdefs.ErrInvalidArgument.WithMessage("invalid subnet"), rhumb.Invalid, false},
		"a driver that isn't there": {cerrdefs.ErrNotFound.WithMessage("plugin not found"), rhumb.Invalid, false},
		"none":                      {nil, "", false},
	} {
		err := error(nil)
		if c.err != nil {
			err = ns.failure(c.err, "shop_n")
		}
		if rhumb.ErrorCode(err) != c.code || subnetLost(err) != c.lost {
			t.Errorf("%s: %v is %q, lost %v", name, err, rhumb.ErrorCode(err), subnetLost(err))
		}
	}
}
