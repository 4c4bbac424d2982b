package why

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"rhumb"
	"rhumb/observe/why/pattern"
)

// maxPatterns bounds the patterns of one service. Further ones aren't told apart.
const maxPatterns = 2_000

// patterns are the kinds of lines of one service that may report a trouble.
type patterns struct {
	all           map[string]*lineKind
	before, since int // how many lines
}

// lineKind is a pattern and its lines.
type lineKind struct {
	pattern       string
	sample        string // a whole line
	level         rhumb.Level
	before, since int // how many lines in the usual time, and in the chosen one
	at            time.Time
	release       int
}

// readLines reads the lines that may report a trouble: of the usual time, and of the chosen one. Levels are only known
// of lines that say them; of the others those count that have a word like "failed".
func (e *Explainer) readLines(ctx context.Context, r *records) {
	before := rhumb.LogOptions{Since: r.q.Since.Add(-r.usual), Until: r.q.Since.Add(-1), Tail: maxLines}
	since := rhumb.LogOptions{Since: r.q.Since, Until: r.q.Until, Tail: maxLines}
	kinds := []rhumb.LineKind{rhumb.LineOutput, rhumb.LineHook}
	for _, o := range []rhumb.LogOptions{before, since} {
		q := rhumb.LogQuery{LogOptions: o, Stack: r.q.Stack, Kinds: kinds, Level: rhumb.LevelWarn}
		e.each(ctx, r, "log lines", q, r.take)
		q.Level = rhumb.LevelUnknown
		e.each(ctx, r, "log lines", q, func(l *rhumb.LogLine) {
			if l.Level == rhumb.LevelUnknown && failing.MatchString(l.Text[:min(len(l.Text), maxText)]) {
				r.take(l)
			}
		})
	}
}

var failing = regexp.MustCompile(`(?i)error|fail|fatal|panic|exception|refused|timed? ?out|timeout|denied|killed|` +
	`no space|out of memory|cannot|unable|unreachable|no such host|expired|too many`)

// take counts a line.
func (r *records) take(l *rhumb.LogLine) {
	k := key{stack: l.Stack, service: l.Service}
	of := r.lines[k]
	if of == nil {
		of = &patterns{all: map[string]*lineKind{}}
		r.lines[k] = of
	}
	text := said(l)
	p := pattern.Of(text)
	kind := of.all[p]
	if kind == nil {
		if len(of.all) >= maxPatterns {
			return
		}
		kind = &lineKind{pattern: p, sample: pattern.Clip(text, pattern.Max)}
		of.all[p] = kind
	}
	kind.level = max(kind.level, l.Level)
	if l.Time.Before(r.q.Since) {
		kind.before++
		of.before++
		return
	}
	if kind.since++; kind.since == 1 || l.Time.Before(kind.at) {
		kind.at, kind.release = l.Time, l.Release
	}
	of.since++
}

// said returns what a line says: of one with fields, its message and its error.
func said(l *rhumb.LogLine) string {
	f := l.Fields
	msg := cmp.Or(f["msg"], f["message"], f["event"])
	if msg == "" {
		return l.Text[:min(len(l.Text), maxText)]
	}
	if err := cmp.Or(f["err"], f["error"], f["error.message"], f["exception"]); err != "" {
		msg += ": " + err
	}
	return msg[:min(len(msg), maxText)]
}

// fresh returns the kinds of lines that the usual time doesn't have, the most frequent first.
func (p *patterns) fresh() []*lineKind {
	if p == nil {
		return nil
	}
	var found []*lineKind
	for _, k := range p.all {
		if k.before == 0 && k.since > 0 && k.level != rhumb.LevelInfo {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, func(a, b *lineKind) int {
		return cmp.Or(cmp.Compare(b.since, a.since), cmp.Compare(a.pattern, b.pattern))
	})
	return found[:min(len(found), 50)]
}

// loud reports whether the lines of a new kind are a trouble of their own, and not a line that comes once a day.
func (k *lineKind) loud(of *patterns) bool {
	return k.since >= 10 && 4*k.since >= of.since && k.since > of.before/10 ||
		k.level == rhumb.LevelFatal && k.since >= 3
}

// names reports whether a text names a service or a host, as a word of its own.
func names(text, name string) bool {
	for rest := text; name != ""; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(name):]
		if !endsInWord(before) && !beginsWithWord(after) {
			return true
		}
		rest = after
	}
	return false
}

func endsInWord(s string) bool { return s != "" && nameByte(s[len(s)-1]) }

// beginsWithWord reports whether the name before s goes on: also as that of another host, as in "db.example.com".
func beginsWithWord(s string) bool {
	return s != "" && (nameByte(s[0]) || s[0] == '.' && len(s) > 1 && nameByte(s[1]))
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

var (
	remote = regexp.MustCompile(`(?i)\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b`)
	away   = regexp.MustCompile(`(?i)refused|timed? ?out|timeout|deadline exceeded|no such host|unreachable|` +
		`reset by peer|lookup|unavailable|bad gateway|broken pipe|too many (?:open )?(?:clients|connections)|slow query|` +
		`canceling statement|connection|\beof\b|\b50[234]\b`)
	fullDisk = regexp.MustCompile(`(?i)no space left on device|disk (?:is )?full|ENOSPC|disk quota exceeded`)
)

// host returns the name of a host outside the stack to which a line says that it had no answer; "": none.
func host(text string) string {
	if !away.MatchString(text) {
		return ""
	}
	for _, h := range remote.FindAllString(text, 8) {
		last := h[strings.LastIndexByte(h, '.')+1:]
		if !slices.Contains(fileEndings, strings.ToLower(last)) {
			return strings.ToLower(h)
		}
	}
	return ""
}

// fileEndings are the ends of names that look like hosts' and aren't.
var fileEndings = []string{"go", "py", "js", "ts", "rb", "php", "java", "rs", "cs", "json", "log", "yaml", "yml",
	"conf", "html", "sql", "sock", "so", "error", "exception", "errno", "timeout", "internal", "read", "write", "dial"}
