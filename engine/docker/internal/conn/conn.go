// Package conn is the connection to one Docker Engine that the rooms of engine/docker share: its client, the version of
// the API that both sides speak, and the engine's errors as rhumb's.
package conn

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
)

const (
	CallTimeout  = time.Minute      // for every call that isn't a stream
	CleanTimeout = 30 * time.Second // for undoing what a failed call left
)

// Conn is a connection to an engine. It is safe for concurrent use.
type Conn struct {
	API  *client.Client
	Host string // "unix:///path"
	Log  *slog.Logger

	negotiation sync.Mutex
	version     string // the negotiated API version; "": none yet
}

// New returns a connection. It doesn't connect. New returns Invalid for a host that isn't a unix socket.
func New(host string, log *slog.Logger) (*Conn, error) {
	if !strings.HasPrefix(host, "unix://") {
		return nil, rhumb.Errorf(rhumb.Invalid, "docker host %q is not a unix socket", host).
			WithHint("run the daemon on the machine whose engine it uses; RHUMB_HOST reaches it from elsewhere")
	}
	api, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "docker host %q: %w", host, err)
	}
	return &Conn{API: api, Host: host, Log: log}, nil
}

// Version returns the version of the API on which client and engine have agreed. Every call waits for that agreement,
// so it has a deadline even where the caller has none.
func (c *Conn) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	if c.version != "" {
		return c.version, nil
	}
	if _, err := c.API.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return "", c.Fail(err, "reach the engine")
	}
	c.version = c.API.ClientVersion()
	return c.version, nil
}

// Container returns a replica's container by its name or ID. It returns NotFound for any other container.
func (c *Conn) Container(ctx context.Context, id string) (*container.InspectResponse, error) {
	r, err := c.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		err = c.Fail(err, "look at replica "+observed.Short(id))
		if Is(err, rhumb.NotFound) {
			return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", observed.Short(id))
		}
		return nil, err
	}
	in := &r.Container
	if in.Config == nil || in.State == nil || in.HostConfig == nil || in.Config.Labels[label.Stack] == "" {
		return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not one of rhumb's", observed.Short(id))
	}
	return in, nil
}
