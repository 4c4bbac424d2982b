package logstore

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"rhumb"
)

const (
	day       = 24 * time.Hour
	farFuture = 50 * 365 * day // lines whose time is later are dropped
	flush     = 5 * time.Second
	maxTries  = 3
	gone      = ".gone" // the end of the name of a segment that is being removed
)

// segment is one storage of the library: a part of a stack's lines. It is open while it is used.
type segment struct {
	number int
	path   string

	mu      sync.Mutex
	storage *logstorage.Storage // nil: closed
	log     *slog.Logger
	keep    time.Duration
	reopen  bool // keep has changed since it was opened
	users   int
	used    time.Time
	gone    bool // it is removed when its last user leaves
	info    *info
}

// info is what is known of a closed segment.
type info struct {
	First, Last int64 // times of its lines, in nanoseconds; Last before First: it has none
	Size        int64
}

// newSegment returns a segment, which may exist on disk.
func newSegment(dir string, number int, keep time.Duration, log *slog.Logger) *segment {
	return &segment{number: number, path: filepath.Join(dir, strconv.Itoa(number)), keep: keep, log: log}
}

// acquire opens a segment if it is closed, and returns its storage; nil if it is gone. The caller must release it.
func (g *segment) acquire() *logstorage.Storage {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil
	}
	if g.storage == nil {
		g.open()
	}
	g.users++
	return g.storage
}

// open opens the storage. The library ends the process if it can't: a segment with which that has happened several
// times is set aside. mu must be locked.
func (g *segment) open() {
	tries := g.path + ".opening" // a byte for each time
	if st, err := os.Stat(tries); err == nil && st.Size() >= maxTries {
		aside := fmt.Sprintf("%s.broken-%d", g.path, time.Now().Unix())
		g.log.Error("part of the logs not readable, set aside", "path", aside, "err", os.Rename(g.path, aside))
		_ = os.Remove(tries) // if that fails, the next new segment is set aside as well
	}
	if f, err := os.OpenFile(tries, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		_, _ = f.WriteString(".") // on a full disk the tries aren't counted
		f.Close()
	}
	g.storage = logstorage.MustOpenStorage(g.path, &logstorage.StorageConfig{
		Retention: g.keep, FutureRetention: farFuture, FlushInterval: flush,
	})
	g.used = time.Now()
	_ = os.Remove(tries) // it is removed the next time
}

// release ends a use of a segment.
func (g *segment) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
	g.used = time.Now()
	if g.users == 0 && (g.gone || g.reopen) {
		g.close()
	}
}

// close closes the storage, and removes it if the segment is gone. It must have no users, and mu must be locked.
func (g *segment) close() {
	if g.storage != nil {
		settle(g.storage)
		g.storage.MustClose()
		g.storage, g.reopen, g.info = nil, false, nil
	}
	if g.gone && os.Rename(g.path, g.path+gone) == nil { // half of a segment can't be opened
		_ = os.RemoveAll(g.path + gone) // what remains is removed when the store is opened
	}
}

// settle waits until no merge runs, but for a second at most. Closing a storage clears what a merge reads when it
// begins, so none should be beginning then. One that takes longer is past that.
func settle(s *logstorage.Storage) {
	s.DebugFlush() // otherwise closing begins merges
	end := time.Now().Add(time.Second)
	for calm := 0; calm < 2 && time.Now().Before(end); calm++ {
		time.Sleep(time.Millisecond)
		var st logstorage.StorageStats
		s.UpdateStats(&st)
		if st.ActiveInmemoryMerges+st.ActiveSmallMerges+st.ActiveBigMerges > 0 {
			calm = -1
		}
	}
}

// closeIdle closes a segment that nothing has used for a time. It reports whether it did.
func (g *segment) closeIdle(idle time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.storage != nil && g.users == 0 && time.Since(g.used) >= idle {
		g.storage.DebugFlush() // the times of newer lines aren't known yet
		i := look(g.storage)
		g.close()
		g.info = &i
		return true
	}
	return false
}

// remove removes a segment once its users have left.
func (g *segment) remove() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
	if g.users == 0 {
		g.close()
	}
}

// setKeep changes how long lines are kept.
func (g *segment) setKeep(keep time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keep == keep {
		return
	}
	g.keep, g.reopen = keep, g.storage != nil
	if g.reopen && g.users == 0 {
		g.close()
	}
}

// known returns what a closed segment contains, if that is known.
func (g *segment) known() (info, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.info == nil {
		return info{}, false
	}
	return *g.info, true
}

// expire opens a closed segment that has lines which are too old: the library removes them.
func (g *segment) expire(keep time.Duration) {
	i, ok := g.known()
	if ok && i.First < nanoseconds(time.Now().Add(-keep-2*day)) && g.acquire() != nil {
		g.release()
	}
}

// look returns what a segment contains. It opens it if that isn't known.
func (g *segment) look() info {
	if i, ok := g.known(); ok {
		return i
	}
	s := g.acquire()
	if s == nil {
		return info{First: math.MaxInt64, Last: math.MinInt64}
	}
	defer g.release()
	return look(s)
}

// look returns what a storage contains.
func look(s *logstorage.Storage) info {
	var stats logstorage.StorageStats
	s.UpdateStats(&stats)
	i := info{First: stats.MinTimestamp, Last: stats.MaxTimestamp}
	if stats.RowsCount() == 0 {
		i.First, i.Last = math.MaxInt64, math.MinInt64
	}
	i.Size = int64(stats.IndexdbSizeBytes + stats.CompressedInmemorySize + stats.CompressedSmallPartSize +
		stats.CompressedBigPartSize)
	return i
}

// sync writes the lines of some days to the disk. No lines may be added meanwhile.
func (g *segment) sync(days map[int64]bool) error {
	s := g.acquire()
	if s == nil {
		return nil
	}
	defer g.release()
	s.DebugFlush()
	// A snapshot makes the library write what it has in memory, but not what it is merging at the moment.
	for wait := time.Millisecond; wait < 10*time.Second; wait *= 2 {
		for d := range days {
			name := time.Unix(0, d*int64(day)).UTC().Format("20060102")
			for _, path := range s.PartitionSnapshotMustCreate(name) {
				_ = s.PartitionSnapshotDelete(path) // it was made just now
			}
		}
		var stats logstorage.StorageStats
		if s.UpdateStats(&stats); stats.InmemoryRowsCount == 0 {
			return nil
		}
		time.Sleep(wait)
	}
	return rhumb.Errorf(rhumb.Timeout, "the lines in %s are not on the disk after 10 s", g.path)
}
