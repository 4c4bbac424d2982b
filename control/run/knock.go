package run

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"rhumb"
	"rhumb/control/ready"
)

// knock is the probe of a replica that is ready once one of its ports accepts connections.
type knock struct {
	engine any // may be a rhumb.Sockets
	rep    rhumb.Replica
	at     netip.Addr
	ready  rhumb.Ready
	looked time.Time // when its sockets were last looked at
	why    error     // what they showed
}

const (
	// silent is how long a replica must have run before it counts as one that serves nothing, if only its image names
	// ports and it listens on none of them.
	silent = 3 * rhumb.ReadyWindow
	// lookAgain is how long a look at the sockets is reused: it costs the engine more than a connect.
	lookAgain = time.Second
)

// try connects once. If no port accepts, the error says where the replica listens instead, if that can be found out.
func (k *knock) try(ctx context.Context) error {
	ports := k.ready.Ports
	if len(ports) == 0 {
		ports = []uint16{k.ready.Port}
	}
	err := ready.DialAny(ctx, k.at, ports)
	if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	sockets, can := k.engine.(rhumb.Sockets)
	if !can {
		return err
	}
	if k.why != nil && time.Since(k.looked) < lookAgain {
		return k.why
	}
	listening, lookErr := sockets.Listening(ctx, k.rep.ID)
	if lookErr != nil {
		return err
	}
	inside := amongPorts(listening, ports)
	if k.ready.Kind == rhumb.ReadyExposed && len(inside) == 0 && time.Since(k.rep.Started) >= silent {
		return nil
	}
	k.looked, k.why = time.Now(), refused(ports, inside, listening)
	return k.why
}

// amongPorts returns the addresses that have one of the ports.
func amongPorts(addrs []netip.AddrPort, ports []uint16) []netip.AddrPort {
	other := func(a netip.AddrPort) bool { return !slices.Contains(ports, a.Port()) }
	return slices.DeleteFunc(slices.Clone(addrs), other)
}

// refused says why no port of a replica accepts. inside are the addresses with one of the ports, all are all that it
// listens on.
func refused(ports []uint16, inside, all []netip.AddrPort) error {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = fmt.Sprint(p)
	}
	what := fmt.Sprintf("nothing listens on %s from outside the container", strings.Join(names, " or "))
	switch {
	case len(inside) > 0:
		return fmt.Errorf("%s (it listens on %s)", what, inside[0].Addr())
	case len(all) > 0:
		return fmt.Errorf("%s (it listens on %s)", what, all[0])
	}
	return errors.New(what)
}
