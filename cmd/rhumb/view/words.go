package view

import (
	"fmt"
	"strings"
	"time"

	"rhumb"
)

func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}

// holdWords returns how many requests wait: "requests wait: 3 for 2s"; "" if none.
func holdWords(requests int, waited time.Duration) string {
	if requests == 0 {
		return ""
	}
	return fmt.Sprintf("requests wait: %d for %s", requests, rhumb.Span(waited))
}

// ago returns how long ago a time is, in one unit: "3h ago"; "" for the zero time.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return rhumb.Span(time.Since(t)) + " ago"
}

// Bytes returns a number of bytes with its unit: "1.2 MB".
func Bytes(n int64) string {
	switch {
	case n < 1e3:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

// wordsOf returns an event in plain words, without its stack.
func wordsOf(e rhumb.Event) string {
	subject := e.Service
	if e.Replica != "" {
		subject = shortName(e.Stack, e.Replica)
	}
	if subject == "" {
		subject = e.Stack
	}
	return subject + ": " + deedOf(e)
}

// deedOf returns what an event says of its subject: "ready after 5s", "failed: exited with 1".
func deedOf(e rhumb.Event) string {
	what := string(e.Kind)
	switch e.Kind {
	case rhumb.EventDeployment:
		what = string(e.Phase)
		if e.Phase == rhumb.PhaseRollingBack {
			what = "putting back"
		} else if e.Text != "" {
			what = "" // the text is the verdict, or names the deployment that begins
		}
	case rhumb.EventPull:
		what = "pulling"
	case rhumb.EventWarning, rhumb.EventBackoff, rhumb.EventLimits, rhumb.EventBan:
		what = ""
	case rhumb.EventFailed:
		if e.Failure != nil && e.Failure.Reason != "" && e.Text == "" {
			e.Text = e.Failure.Reason
		}
	}
	if strings.HasPrefix(e.Text, what+" ") {
		what = "" // "ready after 5s"
	}
	switch {
	case what == "":
		return e.Text
	case e.Text == "":
		return what
	}
	return what + ": " + e.Text
}

// shortName returns a replica's name without its stack: "web.42.1".
func shortName(stack, replica string) string {
	if n := len(stack) + 1; len(replica) > n && replica[:n] == stack+"-" {
		return replica[n:]
	}
	return replica
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
