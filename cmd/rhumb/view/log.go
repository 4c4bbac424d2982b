package view

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// Log prints log lines. Each begins with the replica's name in the colour of its service. W is not a Screen: the
// colours of applications pass to a terminal, and no other escape sequence passes.
type Log struct {
	W     io.Writer
	Bare  bool // omit the replica's name
	Times bool // show the time

	wide int
}

// Expect widens the column of names for a replica. Call it before the first line to align all lines.
func (l *Log) Expect(stack, replica string) { l.wide = max(l.wide, len(shortName(stack, replica))) }

// Write prints a line. A text of several lines, such as a stack trace, has the prefix before each of them.
func (l *Log) Write(line rhumb.LogLine) error {
	p, prefix := paintOn(l.W), ""
	if !l.Bare {
		name := source(line)
		l.wide = max(l.wide, len(name))
		h := fnv.New32a()
		h.Write([]byte(line.Service))
		prefix = p.hue(int(h.Sum32()%uint32(len(hues))), fmt.Sprintf("%-*s |", l.wide, name)) + " "
	}
	if l.Times {
		prefix += p.dim(line.Time.UTC().Format("2006-01-02T15:04:05.000Z")) + " "
	}
	var b strings.Builder
	for text := range strings.SplitSeq(cmp.Or(request(line), happened(line), line.Text), "\n") {
		b.WriteString(prefix + coloured(text, p.on) + "\n")
	}
	if line.Cut > 0 {
		b.WriteString(prefix + p.dim(fmt.Sprintf("(cut: %s more)", Bytes(int64(line.Cut)))) + "\n")
	}
	_, err := io.WriteString(l.W, b.String())
	return err
}

// request returns an access line in words: "203.0.113.9 GET /cart 200 1 kB 12ms". "" if the line isn't one of the
// proxy's.
func request(line rhumb.LogLine) string {
	f := line.Fields
	if line.Kind != rhumb.LineAccess || f["method"] == "" || f["status"] == "" {
		return ""
	}
	words := []string{f["client"], f["method"], f["path"], f["status"]}
	if n, err := strconv.ParseInt(f["bytes"], 10, 64); err == nil {
		words = append(words, Bytes(n))
	}
	if s, err := strconv.ParseFloat(f["duration"], 64); err == nil {
		words = append(words, took(time.Duration(s*float64(time.Second))))
	}
	if f["waf"] != "" {
		words = append(words, ruling(f))
	}
	if f["error"] != "" {
		words = append(words, "("+f["error"]+")")
	}
	return strings.Join(words, " ")
}

// ruling returns what looking for attacks has found: "(attack detected: 942100 942190)".
func ruling(f map[string]string) string {
	switch {
	case f["waf"] == "unseen":
		return "(not looked at for attacks)"
	case f["waf_rules"] == "":
		return "(attack " + f["waf"] + ")"
	}
	return "(attack " + f["waf"] + ": " + f["waf_rules"] + ")"
}

// happened returns an event's line in words: "ready after 5s". "" if the line isn't an event's.
func happened(line rhumb.LogLine) string {
	f := line.Fields
	if line.Kind != rhumb.LineEvent || f["kind"] == "" {
		return ""
	}
	return deedOf(rhumb.Event{Kind: rhumb.EventKind(f["kind"]), Phase: rhumb.Phase(f["phase"]), Text: f["msg"]})
}

// took returns how long a request took, in at most three digits.
func took(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// source returns what wrote a line: a replica, a service, or a part of rhumb.
func source(line rhumb.LogLine) string {
	names := []string{shortName(line.Stack, line.Replica), line.Service, string(line.Kind)}
	if line.Kind == rhumb.LineAccess {
		names = names[1:] // the proxy has written it
	}
	for _, name := range names {
		if name != "" {
			return OneLine(name)
		}
	}
	return "-"
}

// colours matches the escape sequences that set colours and the like, and move nothing.
var colours = regexp.MustCompile("\x1b\\[[0-9;:]{0,64}m")

// coloured returns a text without control characters and escape sequences, except colours if on is set. Colours end
// with the text.
func coloured(text string, on bool) string {
	codes := colours.FindAllStringIndex(text, -1)
	if !on || len(codes) == 0 {
		return Plain(text)
	}
	var b strings.Builder
	end := 0
	for _, at := range codes {
		b.WriteString(Plain(text[end:at[0]]) + text[at[0]:at[1]])
		end = at[1]
	}
	return b.String() + Plain(text[end:]) + "\x1b[0m"
}

// Between prints the mark between two groups of lines that don't follow each other.
func (l *Log) Between() error {
	_, err := fmt.Fprintln(l.W, paintOn(l.W).dim("--"))
	return err
}

// Deployment prints how a deployment ended, as a mark between the lines before and after that.
func (l *Log) Deployment(d rhumb.Deployment) error {
	by := fmt.Sprintf("(%s by %s)", d.Cause, d.By)
	if d.By == "" {
		by = fmt.Sprintf("(%s)", d.Cause)
	}
	at := d.Ended.Local()
	layout := time.TimeOnly
	if time.Since(at) >= 24*time.Hour {
		layout = time.DateTime
	}
	words := OneLine(fmt.Sprintf("── %s %s %s ──", outcome(d), by, at.Format(layout)))
	_, err := fmt.Fprintln(l.W, paintOn(l.W).dim(words))
	return err
}

// outcome returns how a deployment ended: "shop@42 serves".
func outcome(d rhumb.Deployment) string {
	switch {
	case d.Phase == rhumb.PhaseConverged && d.To == 0:
		return d.Stack + " is down"
	case d.Phase == rhumb.PhaseConverged:
		return fmt.Sprintf("%s@%d serves", d.Stack, d.To)
	case d.Phase == rhumb.PhaseRolledBack && d.From != 0:
		return fmt.Sprintf("%s@%d put back, %s@%d serves", d.Stack, d.To, d.Stack, d.From)
	}
	return fmt.Sprintf("%s@%d %s", d.Stack, d.To, d.Phase)
}
