package web

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rhumb"
)

// logRow is a line as a page shows it, or a rule between lines.
type logRow struct {
	Rule    string // "release 42 of web"; the rest is empty then
	Time    string // "14:36:02.118"
	Context string // the address of the lines around it
	From    string // what wrote it: "web.42.1"
	Color   int    // of the service, from 1 to 6
	Level   string // "" also if the text begins with it
	Tone    string // "bad", "warn", "faint" or ""
	Head    []textPart
	Rest    []textPart // what is folded away
	Fold    string     // how much that is: "14 more lines"
	Cut     bool       // a part of the text is only in the lines around it
	Here    bool       // the line that was asked for
}

// textPart is a piece of a text; a hit is one that was searched for.
type textPart struct {
	Text string
	Hit  bool
}

// What a page shows of lines.
const (
	maxLines   = 250
	headBytes  = 320     // of a line, before the fold
	headLines  = 2       // of a text with several lines
	foldBytes  = 4 << 10 // of a line, behind the fold
	pageBytes  = 44 << 10
	maxHits    = 30 // in a line
	wholeBytes = 64 << 10

	levelWithin = 48 // bytes at the beginning of a text
)

// liner turns lines into rows, one after the other.
type liner struct {
	grep   *regexp.Regexp
	all    bool // lines of several stacks are shown
	budget int  // bytes of texts that may still be shown
	fold   int  // bytes of one text behind the fold
	seen   map[string]int
	day    string
}

func newLiner(f *logFilter) *liner {
	return &liner{grep: f.grep(), all: f.Stack == "", budget: pageBytes, fold: foldBytes, seen: map[string]int{}}
}

// rows returns a line as a row, after the rules that stand before it: that of a new day, and that of another release
// of its service, which is drawn once.
func (n *liner) rows(l *rhumb.LogLine) []logRow {
	var rows []logRow
	local := l.Time.Local()
	if day := local.Format("Monday, 2 January"); day != n.day {
		if n.day != "" {
			rows = append(rows, logRow{Rule: day})
		}
		n.day = day
	}
	service := l.Stack + "\x00" + l.Service
	if last, known := n.seen[service]; l.Release > 0 && (!known || l.Release > last) {
		if known {
			rows = append(rows, logRow{Rule: fmt.Sprintf("release %d of %s", l.Release, l.Service)})
		}
		n.seen[service] = l.Release
	}
	return append(rows, n.row(l, local))
}

func (n *liner) row(l *rhumb.LogLine, local time.Time) logRow {
	row := logRow{Time: local.Format("15:04:05.000"), Context: contextOf(l), From: writerOf(l, n.all),
		Color: colorOf(l.Service), Level: l.Level.String(), Tone: toneOf(l.Level)}
	text := strings.TrimRight(plain(l.Text), "\r\n")
	if strings.Contains(strings.ToLower(upTo(text, levelWithin)), row.Level) {
		row.Level = ""
	}
	whole := len(text)
	room := min(headBytes+n.fold, max(n.budget, headBytes))
	if text = upTo(text, room); len(text) < whole || l.Cut > 0 {
		row.Cut = true
	}
	head, rest := folded(text)
	n.budget -= len(text)
	row.Head, row.Rest = n.parts(head), n.parts(rest)
	if rest != "" || row.Cut {
		row.Fold = foldWords(rest, whole-len(head)+l.Cut)
	}
	return row
}

// folded splits a text where the fold is.
func folded(text string) (head, rest string) {
	head = upTo(text, headBytes)
	at := 0
	for range headLines {
		i := strings.IndexByte(head[at:], '\n')
		if i < 0 {
			return head, text[len(head):]
		}
		at += i + 1
	}
	return head[:at-1], text[at-1:]
}

// foldWords says how much is behind the fold.
func foldWords(rest string, bytes int) string {
	if n := strings.Count(rest, "\n"); n > 0 {
		return plural(n, "more line")
	}
	return size(float64(bytes)) + " more"
}

// parts cuts a text where it was found.
func (n *liner) parts(text string) []textPart {
	if text == "" {
		return nil
	}
	if n.grep == nil {
		return []textPart{{Text: text}}
	}
	var parts []textPart
	at := 0
	for _, hit := range n.grep.FindAllStringIndex(text, maxHits) {
		if hit[0] == hit[1] {
			continue
		}
		if hit[0] > at {
			parts = append(parts, textPart{Text: text[at:hit[0]]})
		}
		parts = append(parts, textPart{Text: text[hit[0]:hit[1]], Hit: true})
		at = hit[1]
	}
	if at < len(text) {
		parts = append(parts, textPart{Text: text[at:]})
	}
	return parts
}

// upTo returns at most n bytes of a text, and cuts no character.
func upTo(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// writerOf returns the name of what wrote a line, with its stack if lines of several stacks are shown.
func writerOf(l *rhumb.LogLine, stack bool) string {
	name := shortName(l.Stack, l.Replica)
	switch {
	case l.Kind == rhumb.LineAccess:
		name = l.Service + " proxy"
	case name == "":
		name = l.Service
	}
	if stack && l.Stack != "" {
		name = l.Stack + "/" + name
	}
	return cut(60, name)
}

// contextOf returns the address of the lines around a line.
func contextOf(l *rhumb.LogLine) string {
	q := url.Values{"at": {strconv.FormatInt(l.Time.UnixNano(), 36)}}
	if l.Stack != "" {
		q.Set("stack", l.Stack)
	}
	if l.Container != "" {
		q.Set("c", l.Container[:min(12, len(l.Container))])
	} else {
		q.Set("service", l.Service)
		q.Set("kind", l.Kind.String())
	}
	return "/logs/context?" + q.Encode()
}

func colorOf(service string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(service))
	return int(h.Sum32()%6) + 1
}

func toneOf(l rhumb.Level) string {
	switch {
	case l >= rhumb.LevelError:
		return "bad"
	case l == rhumb.LevelWarn:
		return "warn"
	case l == rhumb.LevelDebug || l == rhumb.LevelTrace:
		return "faint"
	}
	return ""
}
