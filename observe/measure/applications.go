package measure

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/internal/pause"
	"rhumb/observe"
)

// applications reads the metrics that applications have of their own, from all running replicas of the services that
// have some.
type applications struct {
	roster *roster
	sink   observe.SampleSink
	log    *slog.Logger
	client *http.Client
	spent  spent

	mu      sync.Mutex
	scrapes map[string]map[string]rhumb.Scrape // by stack and service
}

// spent is what all applications together make this process spend.
type spent struct {
	series atomic.Int64 // that are known
	bytes  atomic.Int64 // of answers that are being read
}

// lookEvery is how often new replicas are looked for.
const lookEvery = time.Second

// place is where one replica answers with its metrics.
type place struct {
	replica string // its ID
	started time.Time
	addr    netip.AddrPort // the zero one: it has no address
	scrape  rhumb.Scrape
}

// task is a scraper that runs.
type task struct {
	stop  context.CancelFunc
	ended chan struct{}
}

func newApplications(r *roster, sink observe.SampleSink, log *slog.Logger) *applications {
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: scrapeTimeout}).DialContext,
		DisableKeepAlives:      true, // a kept connection could hold up the end of a replica
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &applications{roster: r, sink: sink, log: log, client: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (as *applications) set(scrapes map[string]map[string]rhumb.Scrape) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.scrapes = scrapes
}

// run has a scraper for each place, until ctx ends.
func (as *applications) run(ctx context.Context) {
	tasks := map[place]*task{}
	for {
		places := as.places()
		for p, t := range tasks {
			if _, ok := places[p]; !ok {
				t.stop()
				<-t.ended
				delete(tasks, p)
			}
		}
		for p, labels := range places {
			if tasks[p] == nil {
				tasks[p] = as.begin(ctx, p, labels)
			}
		}
		if !pause.For(ctx, lookEvery) {
			break
		}
	}
	for _, t := range tasks {
		t.stop()
		<-t.ended
	}
}

// begin starts the scraper of a place.
func (as *applications) begin(ctx context.Context, p place, labels []string) *task {
	own, stop := context.WithCancel(ctx)
	t := &task{stop: stop, ended: make(chan struct{})}
	s := &scraper{place: p, labels: labels, board: newBoard(as.sink, as.log), client: as.client, spent: &as.spent,
		log: as.log}
	go func() {
		defer close(t.ended)
		s.run(own)
		if ctx.Err() == nil { // the replica is gone
			s.publish(ctx, time.Now())
		}
	}()
	return t
}

// places returns the places that are there now, with the labels of their series.
func (as *applications) places() map[place][]string {
	as.mu.Lock()
	scrapes := as.scrapes
	as.mu.Unlock()
	places := map[place][]string{}
	if len(scrapes) == 0 {
		return places
	}
	replicas := as.roster.now().replicas
	for i := range replicas {
		p := &replicas[i]
		scrape, ok := scrapes[p.Stack][p.Service]
		if !ok || p.State != rhumb.StateRunning || p.Slot == 0 {
			continue
		}
		scrape.Every = max(scrape.Every, rhumb.MeasureEvery)
		at := place{replica: p.ID, started: p.Started.Round(0), scrape: scrape}
		if addr := addressOf(p, replicas); addr.IsValid() {
			at.addr = netip.AddrPortFrom(addr, scrape.Port)
		}
		places[at] = p.labels
	}
	return places
}

// addressOf returns the address of a replica as this machine reaches it. The zero one: there is none.
func addressOf(p *placed, all []placed) netip.Addr {
	if i := slices.IndexFunc(all, func(o placed) bool { return o.ID == p.Joined }); p.Joined != "" && i >= 0 {
		p = &all[i]
	}
	for _, network := range slices.Sorted(maps.Keys(p.Addrs)) {
		return p.Addrs[network]
	}
	if p.process.PID != 0 && !p.process.Network && p.Joined == "" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}) // the machine's own network
	}
	return netip.Addr{}
}
