package bans

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// news is what has happened of late.
type news struct {
	mu    sync.Mutex
	notes []rhumb.BanNote
	more  chan struct{} // closed when there is more
}

const (
	maxNotes = 1000
	newsTime = 20 * time.Second // how long a caller waits for news
)

func newNews() *news { return &news{more: make(chan struct{})} }

// add adds a note with the next number. Numbers are times, so that they grow across restarts too.
func (n *news) add(note rhumb.BanNote) {
	n.mu.Lock()
	defer n.mu.Unlock()
	note.Number = uint64(time.Now().UnixMicro())
	if last := len(n.notes) - 1; last >= 0 {
		note.Number = max(note.Number, n.notes[last].Number+1)
	}
	if len(n.notes) >= maxNotes {
		n.notes = slices.Delete(n.notes, 0, maxNotes/10)
	}
	n.notes = append(n.notes, note)
	close(n.more)
	n.more = make(chan struct{})
}

// since returns the notes after a number, and what is closed when there are more.
func (n *news) since(after uint64) ([]rhumb.BanNote, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	from := len(n.notes)
	for from > 0 && n.notes[from-1].Number > after {
		from--
	}
	return slices.Clone(n.notes[from:]), n.more
}

// await returns the notes after a number, and waits for one if there is none.
func (n *news) await(ctx context.Context, after uint64) []rhumb.BanNote {
	ctx, cancel := context.WithTimeout(ctx, newsTime)
	defer cancel()
	for {
		notes, more := n.since(after)
		if len(notes) > 0 {
			return notes
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil
		}
	}
}

// newReference returns what identifies a ban to its client: forty random bits.
func newReference() string {
	s := rand.Text()
	return s[:4] + "-" + s[4:8]
}
