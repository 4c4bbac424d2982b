package standing

import (
	"slices"
	"time"

	"rhumb"
)

// Observed is what one look at the engine and at the proxy's acknowledged table has shown. Its maps may be nil.
type Observed struct {
	Replicas  []rhumb.Replica
	Ready     map[string]time.Time // by replica ID: since when it is ready; missing: it isn't
	Accepts   map[string]bool      // by replica ID: its check passes, but not yet for the whole window
	Recorded  map[string]bool      // by replica ID: its failure has been recorded
	Routes    map[string]Route     // by replica ID; missing: not in the table
	Published map[string]string    // by address (rhumb.Service.Addresses): the service that has it in the table
	Networks  []string             // the stack's own
	Volumes   []string             // the stack's own, and those that the wanted release names and that exist
	Stopping  map[string]bool      // by replica ID: a stop is under way, so the replica isn't ready
	Segments  map[string]bool      // networks in which services have addresses of their own, or will have
	Severed   map[string]bool      // by replica ID: it is cut off from a network that its spec names
	PostStart map[string]time.Time // of replicas with post_start hooks, by ID: when these completed; zero: not yet
	Watched   time.Time            // when the daemon began to watch; time limits start no earlier; zero: always

	StaleAddresses  bool            // the stack's service addresses in the table are out of date
	AddressesFailed bool            // with StaleAddresses: the last attempt to update them has failed
	StaleNames      map[string]bool // by replica ID: its hosts file lacks names of services, or has old addresses
}

// Route is a replica's place in the acknowledged table.
type Route struct {
	Draining bool
	Since    time.Time // when it began to drain
	Open     int       // connections and requests in flight
	Busy     int       // those of Open that aren't quiet; a kept connection between two requests is quiet
}

// Routed reports whether the replica is in the acknowledged table, draining or not.
func (o *Observed) Routed(r *rhumb.Replica) bool {
	_, ok := o.Routes[r.ID]
	return ok
}

// Active reports whether the acknowledged table sends new connections to the replica.
func (o *Observed) Active(r *rhumb.Replica) bool {
	route, ok := o.Routes[r.ID]
	return ok && !route.Draining
}

// Pending reports whether the replica has post_start hooks that haven't completed.
func (o *Observed) Pending(r *rhumb.Replica) bool {
	at, has := o.PostStart[r.ID]
	return has && at.IsZero()
}

// routesTo reports whether the table has, or will have, routes to a service's replicas: from ports, from host names, or
// from a service address in one of its networks.
func (o *Observed) routesTo(def *rhumb.Service) bool {
	if def.Served() || def.Job || def.Container.NetworkMode != "" {
		return def.Served()
	}
	return slices.ContainsFunc(def.Container.Networks, func(a rhumb.Attachment) bool { return o.Segments[a.Network] })
}

// completed reports whether a dead replica has done its work and the restart policy leaves it at that. A replica that
// was stopped because it had failed has not done its work.
func (o *Observed) completed(def *rhumb.Service, r *rhumb.Replica) bool {
	return !o.Recorded[r.ID] && endedWell(def, r)
}
