package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"rhumb"
)

// alertsView is the data of the page of alerts.
type alertsView struct {
	Firing, Pending, Resolved []alertRow
	Sent, Unsent              int // firing ones
	Rules                     []rhumb.AlertRule
	Silences                  []rhumb.Silence
	Receivers                 []rhumb.AlertReceiver
	Err                       error // of the alerts
	RulesErr                  error
	SilencesErr               error
	ReceiversErr              error
	Tested                    bool
}

// alertRow is an alert with the ways to what it is about.
type alertRow struct {
	rhumb.Alert
	Now     time.Time
	Tone    string
	Unsent  bool   // it is silenced or inhibited
	Silence string // the address at which it is silenced; "": it is
	Until   time.Time
	Logs    string
	Why     string
	Metrics string
}

// alertsPage shows what is wrong, what was, and by which rules.
func alertsPage(s *server, r *http.Request) (view, error) {
	as := &answers{ctx: r.Context()}
	alerts := ask(as, func(ctx context.Context) ([]rhumb.Alert, error) { return s.Alerts.Alerts(ctx, "") })
	rules, silences := ask(as, s.Alerts.AlertRules), ask(as, s.Alerts.Silences)
	receivers := ask(as, s.Alerts.AlertReceivers)
	as.wait()
	v := alertsView{Rules: rules.Is, Silences: silences.Is, Receivers: receivers.Is, Err: alerts.Err, RulesErr: rules.Err,
		SilencesErr: silences.Err, ReceiversErr: receivers.Err, Tested: r.URL.Query().Get("tested") != ""}
	until := map[string]time.Time{}
	for _, sl := range silences.Is {
		until[sl.ID] = sl.Until
	}
	for _, a := range alerts.Is {
		row := rowOf(a, s.now())
		row.Until = until[a.Silence]
		switch a.State {
		case rhumb.AlertFiring:
			v.Firing = append(v.Firing, row)
			if row.Unsent {
				v.Unsent++
			} else {
				v.Sent++
			}
		case rhumb.AlertPending:
			v.Pending = append(v.Pending, row)
		case rhumb.AlertResolved:
			v.Resolved = append(v.Resolved, row)
		}
	}
	slices.SortStableFunc(v.Firing, func(a, b alertRow) int { return cmp.Compare(urgency(b), urgency(a)) })
	return view{Title: "Alerts", Live: liveAt("", 2*rhumb.MeasureEvery), Page: v}, nil
}

// urgency orders alerts: those that aren't sent come last.
func urgency(a alertRow) int {
	switch {
	case a.Unsent:
		return 0
	case a.Severity == rhumb.SeverityCritical:
		return 2
	}
	return 1
}

// longName is the length from which on a name isn't one that a page can ask for.
const longName = 200

func rowOf(a rhumb.Alert, now time.Time) alertRow {
	stack, service := cut(longName, a.Stack), cut(longName, a.Service)
	row := alertRow{Alert: a, Now: now, Tone: "warn", Unsent: a.Silence != "" || a.Inhibited}
	switch {
	case row.Unsent:
		row.Tone = ""
	case a.State == rhumb.AlertResolved:
		row.Tone = "ok"
	case a.State == rhumb.AlertFiring && a.Severity == rhumb.SeverityCritical:
		row.Tone = "bad"
	}
	if a.Silence == "" && a.State != rhumb.AlertResolved {
		what := url.Values{"rule": {cut(longName, a.Rule)}, "stack": {stack}, "service": {service}}
		row.Silence = "/alerts/silence?" + what.Encode()
	}
	end := a.Resolved
	if end.IsZero() {
		end = now
	}
	around := url.Values{"from": {rfc(a.Since.Add(-10 * time.Minute))}, "to": {rfc(end)}}
	if a.Stack != "" {
		around.Set("stack", stack)
		row.Metrics = "/metrics?" + around.Encode()
	}
	if a.Service != "" {
		around.Set("service", service)
	}
	row.Logs = "/logs?" + around.Encode()
	around.Set("since", around.Get("from"))
	around.Set("until", around.Get("to"))
	around.Del("from")
	around.Del("to")
	row.Why = "/why?" + around.Encode()
	return row
}

// silencePage asks what to silence, and for how long.
func silencePage(s *server, r *http.Request) (view, error) {
	q := r.URL.Query()
	sl := rhumb.Silence{Rule: q.Get("rule"), Stack: q.Get("stack"), Service: q.Get("service")}
	return view{Title: "Silence alerts", Here: "/alerts", Page: sl}, nil
}

// maxSilence is the longest silence that a form may ask for, in minutes.
const maxSilence = 60 * 24 * 60

// silence silences alerts, as a form asks.
func silence(s *server, _ http.ResponseWriter, r *http.Request) (string, error) {
	minutes, err := strconv.Atoi(r.PostFormValue("minutes"))
	if err != nil || minutes < 1 || minutes > maxSilence {
		return "", rhumb.Errorf(rhumb.Invalid, "%q is not a number of minutes up to %d",
			cut(40, r.PostFormValue("minutes")), maxSilence)
	}
	sl := rhumb.Silence{Rule: r.PostFormValue("rule"), Stack: r.PostFormValue("stack"),
		Service: r.PostFormValue("service"), Why: cut(500, r.PostFormValue("why")), By: "dashboard",
		Until: s.now().Add(time.Duration(minutes) * time.Minute)}
	if sl.Rule == "" && sl.Stack == "" && sl.Service == "" {
		return "", rhumb.Errorf(rhumb.Invalid, "the silence would match all alerts").
			WithHint("name a rule, a stack or a service")
	}
	_, err = s.Alerts.Silence(r.Context(), sl)
	return "/alerts#silences", err
}

// unsilence ends a silence.
func unsilence(s *server, _ http.ResponseWriter, r *http.Request) (string, error) {
	return "/alerts#silences", s.Alerts.RemoveSilence(r.Context(), r.PostFormValue("id"))
}

// testAlerts sends a test to each receiver. The page shows how that went.
func testAlerts(s *server, _ http.ResponseWriter, r *http.Request) (string, error) {
	receivers, err := s.Alerts.TestAlert(r.Context())
	if err == nil && len(receivers) == 0 {
		err = rhumb.Errorf(rhumb.NotFound, "there are no receivers").WithHint("name one in the server's settings")
	}
	return "/alerts?tested=1#receivers", err
}

// ruleWords says when a rule fires, besides its expression.
func ruleWords(r rhumb.AlertRule) string {
	text := string(r.Severity)
	if r.For > 0 {
		text += fmt.Sprintf(", after %s", rhumb.Span(r.For))
	}
	if r.Keep > 0 {
		text += fmt.Sprintf(", kept for %s", rhumb.Span(r.Keep))
	}
	if r.Replicas {
		text += ", not while a deployment replaces the replica"
	}
	return text
}
