package measure

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"rhumb"
	"rhumb/internal/pause"
)

// What the applications may make this process spend.
const (
	scrapeTimeout = 10 * time.Second
	maxAnswer     = 10 << 20 // bytes, of one replica
	maxReading    = 64 << 20 // bytes, of all replicas at a time
	maxSeries     = 20_000   // of one replica
	maxAllSeries  = 100_000  // of all replicas
	readAtOnce    = 64 << 10
)

// scraper reads the metrics of one replica at a time of its own in each interval.
type scraper struct {
	place
	labels []string
	board  *board
	client *http.Client
	spent  *spent
	log    *slog.Logger
	size   int   // of the last answer, in bytes
	known  int64 // series of this replica in spent
	state  scrapeState
}

// scrapeState is how the last attempt went.
type scrapeState string

const (
	scrapeNone   scrapeState = "" // there was none
	scrapeWorks  scrapeState = "works"
	scrapeFailed scrapeState = "failed"
)

// run reads until ctx ends.
func (s *scraper) run(ctx context.Context) {
	defer s.account(0)
	for {
		now := time.Now()
		if !pause.For(ctx, nextScrape(now, s.replica, s.scrape.Every).Sub(now)) {
			return
		}
		s.sample(ctx, time.Now())
	}
}

// nextScrape returns when a replica's metrics are read next. The replicas are spread over the interval.
func nextScrape(now time.Time, replica string, interval time.Duration) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(replica)) // it can't fail
	offset := time.Duration(h.Sum64() % uint64(interval))
	return now.Add(-offset).Truncate(interval).Add(interval + offset)
}

// sample reads once. If that fails, the application's series end until it works again.
func (s *scraper) sample(ctx context.Context, at time.Time) {
	reading, cancel := context.WithTimeout(ctx, min(scrapeTimeout, s.scrape.Every))
	defer cancel()
	n, err := s.read(reading)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.board.discard()
		n = 0
	}
	s.board.set(number(err == nil), "rhumb_scrape_up", s.labels...)
	s.board.set(float64(n), "rhumb_scrape_samples", s.labels...)
	s.publish(ctx, at)
	s.account(len(s.board.mine))
	s.note(err)
}

// note logs how an attempt went if the last one went otherwise.
func (s *scraper) note(err error) {
	was := s.state
	s.state = scrapeWorks
	if err != nil {
		s.state = scrapeFailed
	}
	switch name := s.labels[len(s.labels)-1]; {
	case err != nil && was != scrapeFailed:
		s.log.Warn("an application's metrics not read", "replica", name, "err", err)
	case err == nil && was == scrapeFailed:
		s.log.Info("an application's metrics are read again", "replica", name)
	}
}

// account corrects how many series all replicas have.
func (s *scraper) account(series int) {
	s.spent.series.Add(int64(series) - s.known)
	s.known = int64(series)
}

// publish hands the samples on. Without any, the replica's series end.
func (s *scraper) publish(ctx context.Context, at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	s.board.publish(ctx, at)
}

// read adds what the replica answers to the board, and returns how many samples that were.
func (s *scraper) read(ctx context.Context) (int, error) {
	if !s.addr.IsValid() {
		return 0, errors.New("the replica has no address")
	}
	path := s.scrape.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr.String()+path, nil)
	if err != nil {
		return 0, rhumb.Errorf(rhumb.Invalid, "path %q can't be requested: %w", path, err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4,*/*;q=0.1")
	req.Header.Set("User-Agent", "rhumb")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, rhumb.Errorf(rhumb.Unavailable, "%s answered %s", path, resp.Status)
	}
	body, err := s.body(resp.Body)
	defer s.spent.bytes.Add(-int64(cap(body)))
	if err != nil {
		return 0, err
	}
	s.size = len(body)
	return s.parse(body, resp.Header.Get("Content-Type"))
}

// body reads an answer. The caller subtracts the capacity of what it returns from what is spent.
func (s *scraper) body(from io.Reader) ([]byte, error) {
	b := make([]byte, 0, s.size+readAtOnce)
	s.spent.bytes.Add(int64(cap(b)))
	for {
		if len(b) == cap(b) {
			before := cap(b)
			b = append(b, 0)[:len(b)]
			s.spent.bytes.Add(int64(cap(b) - before))
		}
		if s.spent.bytes.Load() > maxReading {
			return b, rhumb.Errorf(rhumb.Unavailable, "the answers of all applications together are larger than %d MB",
				maxReading>>20)
		}
		n, err := from.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > maxAnswer:
			return b, rhumb.Errorf(rhumb.Invalid, "the answer is larger than %d MB", maxAnswer>>20)
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		}
	}
}
