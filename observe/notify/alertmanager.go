package notify

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// aliveFor is for how long an Alertmanager believes in an alert that it hears no more of.
const aliveFor = 5 * time.Minute

// postable is an alert of an Alertmanager's API.
type postable struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitzero"`
}

var labelLetters = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// alertmanager returns the request that says which alerts fire, and which have ended. It is repeated while they fire.
func alertmanager(e endpoint, host string, firing, ended []rhumb.Alert, now time.Time) request {
	list := []postable{}
	for _, alerts := range [][]rhumb.Alert{firing, ended} {
		for _, a := range alerts {
			list = append(list, postableOf(a, host, now))
		}
	}
	return request{method: http.MethodPost, url: strings.TrimRight(e.url, "/") + "/api/v2/alerts",
		contentType: "application/json", body: encode(list), at: now}
}

func postableOf(a rhumb.Alert, host string, now time.Time) postable {
	p := postable{Labels: map[string]string{}, Annotations: map[string]string{"summary": a.Text}, StartsAt: a.Since,
		EndsAt: now.Add(aliveFor)}
	if a.Rule != "RuleFailed" { // its labels have the error, which may change
		for name, value := range a.Labels {
			if name = labelLetters.ReplaceAllString(name, "_"); name != "" && (name[0] < '0' || name[0] > '9') {
				p.Labels[name] = value
			}
		}
	}
	for name, value := range map[string]string{"alertname": a.Rule, "severity": string(a.Severity), "host": host,
		"stack": a.Stack, "service": a.Service, "rhumb_id": a.ID} {
		if value != "" {
			p.Labels[name] = value
		}
	}
	if a.Release != 0 {
		p.Annotations["release"] = a.Stack + "@" + strconv.Itoa(a.Release)
	}
	p.Annotations["silence"] = silence(a)
	if a.State == rhumb.AlertResolved {
		p.EndsAt = a.Resolved
	}
	return p
}
