package docker

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/hostsfile"
	"rhumb/engine/docker/internal/observed"
)

// hostsFiles are the hosts files of replicas.
type hostsFiles struct {
	*conn.Conn
	changing names // IDs of replicas whose hosts files are being changed
}

// SetHosts replaces the further names in a running replica's hosts file. A replica that shares another's network
// namespace, or mounts a hosts file, is left as it is: the file isn't its own.
func (h *hostsFiles) SetHosts(ctx context.Context, id string, hosts map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	if err := hostsfile.Check(hosts); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "hosts file of replica %s: %w", observed.Short(id), err)
	}
	release, err := h.changing.hold(ctx, id)
	if err != nil {
		return h.Fail(err, "set the hosts of replica "+observed.Short(id))
	}
	defer release()
	c, err := h.Container(ctx, id)
	if err != nil {
		return err
	}
	if r := observed.Replica(c); !r.Alive() || filepath.Base(filepath.Dir(c.HostsPath)) != c.ID {
		return nil
	}
	atStart := hostsfile.AtStart(c)
	wanted := hostsfile.Further(hosts, c.HostConfig.ExtraHosts, atStart)
	err = hostsfile.Edit(c.HostsPath, func(old []byte) []byte { return hostsfile.With(old, atStart, wanted) })
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := h.Container(ctx, id); gone != nil {
			return gone
		}
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "hosts file of %s: %w", observed.Name(c), err).
			WithHint("run the daemon as root on the engine's machine, with the engine's data folder in sight and " +
				"space on its disk")
	}
	return nil
}
