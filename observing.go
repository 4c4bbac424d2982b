package rhumb

import "context"

// Observing is what a stack's release asks of the process that observes it.
type Observing struct {
	Logs    LogLimits
	Scrapes map[string]Scrape `json:",omitzero"` // by service
	Rules   []AlertRule       `json:",omitzero"`
	Bans    map[string]Bans   `json:",omitzero"` // by service: those with rules about lines of logs
}

// Observing returns what the stack asks for.
func (s *Stack) Observing() Observing {
	o := Observing{Logs: s.Logs, Rules: s.Alerts}
	for i := range s.Services {
		if m := s.Services[i].Metrics; m != nil {
			if o.Scrapes == nil {
				o.Scrapes = map[string]Scrape{}
			}
			o.Scrapes[s.Services[i].Name] = *m
		}
		if b := s.Services[i].Bans.ofLogs(); len(b.On) > 0 {
			if o.Bans == nil {
				o.Bans = map[string]Bans{}
			}
			o.Bans[s.Services[i].Name] = b
		}
	}
	return o
}

// Dashboard knows where the dashboard is.
type Dashboard interface {
	// DashboardLink returns the address of the dashboard with a key that lets its holder in. Anybody who reaches the
	// API may have it. NotFound: this server has no dashboard.
	DashboardLink(ctx context.Context) (DashboardLink, error)
}

// DashboardLink is how to reach the dashboard.
type DashboardLink struct {
	Addr string // where it listens: "127.0.0.1:7484"
	Key  string // lets its holder in for as long as the server keeps it
}
