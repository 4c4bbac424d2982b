package docker

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/observed"
	"rhumb/engine/docker/internal/process"
)

// resolver is the address of the engine's name server in the network namespaces of containers.
var resolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// sockets are what replicas listen on.
type sockets struct{ *conn.Conn }

// Listening implements rhumb.Sockets. The API has no call for that, but reports the process ID on this machine.
func (s *sockets) Listening(ctx context.Context, id string) ([]netip.AddrPort, error) {
	c, err := s.Container(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.State == nil || c.State.Pid <= 1 {
		return nil, rhumb.Errorf(rhumb.NotFound, "container %s doesn't run", observed.Short(id))
	}
	list, err := process.Listening(c.State.Pid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, rhumb.Errorf(rhumb.Unsupported, "the processes of container %s can't be seen from here",
			observed.Short(id))
	case err != nil:
		return nil, err
	}
	return slices.DeleteFunc(list, func(at netip.AddrPort) bool { return at.Addr() == resolver }), nil
}
