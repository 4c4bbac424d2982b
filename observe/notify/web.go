package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/observe"
)

const (
	dialTime  = 5 * time.Second
	maxAnswer = 64 << 10 // bytes of an answer that are read
	maxShown  = 200      // runes of an answer in an error
)

// render returns the message as the receiver wants it.
func (r *receiver) render(m Message) request {
	req := request{method: http.MethodPost, url: r.url, contentType: "application/json", at: m.At, incident: m.Incident}
	switch r.kind {
	case "slack":
		req.body = encode(slack(m, r.host))
	case "discord":
		req.body = encode(discord(m, r.host))
	case "ntfy":
		req.url, req.body = ntfy(r.url, m, r.host)
	case "mail":
		req.subject, req.body = m.title(r.host), []byte(m.body(plain))
	default:
		req.body = encode(webhook(m, r.host))
	}
	return req
}

// encode returns a value as JSON. The values here always have a form in JSON.
func encode(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

func plain(s string) string { return s }

// webhookBody is what a generic webhook gets. docs/alerts.md describes it; fields are only ever added.
type webhookBody struct {
	Version    int           `json:"version"`
	Kind       Kind          `json:"kind"`
	Incident   string        `json:"incident"`
	Severity   string        `json:"severity"`
	Host       string        `json:"host,omitzero"`
	Stack      string        `json:"stack,omitzero"`
	Release    int           `json:"release,omitzero"`
	Deployment string        `json:"deployment,omitzero"`
	Link       string        `json:"link,omitzero"`
	At         time.Time     `json:"at"`
	Title      string        `json:"title"`
	Text       string        `json:"text"`
	New        []webhookItem `json:"new"`
	Firing     []webhookItem `json:"firing"`
	Resolved   []webhookItem `json:"resolved"`
}

// webhookItem is an alert.
type webhookItem struct {
	ID       string            `json:"id"`
	Rule     string            `json:"rule"`
	Severity rhumb.Severity    `json:"severity"`
	Since    time.Time         `json:"since"`
	Resolved time.Time         `json:"resolved,omitzero"`
	Service  string            `json:"service,omitzero"`
	Replica  string            `json:"replica,omitzero"`
	Text     string            `json:"text"`
	Value    float64           `json:"value"`
	Labels   map[string]string `json:"labels,omitzero"`
	Silence  string            `json:"silence"` // the command that silences it
}

func webhook(m Message, host string) webhookBody {
	return webhookBody{Version: 1, Kind: m.Kind, Incident: m.Incident, Severity: string(m.severity()), Host: host,
		Stack: m.Stack, Release: m.Release, Deployment: m.Deployment, Link: m.Link, At: m.At, Title: m.title(host),
		Text: m.body(plain), New: items(m.New), Firing: items(m.Firing), Resolved: items(m.Resolved)}
}

func items(alerts []rhumb.Alert) []webhookItem {
	list := []webhookItem{}
	for _, a := range alerts {
		list = append(list, webhookItem{ID: a.ID, Rule: a.Rule, Severity: a.Severity, Since: a.Since, Resolved: a.Resolved,
			Service: a.Service, Replica: a.Replica, Text: a.Text, Value: a.Value, Labels: a.Labels, Silence: silence(a)})
	}
	return list
}

// slack returns the body for Slack. Only &, < and > mean something there, once mrkdwn is off.
func slack(m Message, host string) any {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	return map[string]any{"text": escape(m.title(host)) + "\n" + m.body(escape), "mrkdwn": false}
}

// discordLimit is the longest message of Discord, in runes.
const discordLimit = 2000

// discord returns the body for Discord: nothing in it mentions users, or is shown as anything but text.
func discord(m Message, host string) any {
	escape := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if strings.ContainsRune("\\*_~`|>[]()#@<:-", r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
		return b.String()
	}
	text := []rune("**" + escape(m.title(host)) + "**\n" + m.body(escape))
	return map[string]any{"content": string(text[:min(len(text), discordLimit)]),
		"allowed_mentions": map[string]any{"parse": []string{}}, "flags": 1 << 2} // no previews of links
}

// ntfy returns the address and body for ntfy. The topic is the last part of the URL's path; a body in JSON goes to the
// path above it, and can't be mistaken for headers.
func ntfy(raw string, m Message, host string) (string, []byte) {
	u, err := url.Parse(raw)
	if err != nil {
		return raw, nil // it was parsed before
	}
	topic := path.Base(strings.TrimRight(u.Path, "/"))
	u.Path = strings.TrimRight(path.Dir(strings.TrimRight(u.Path, "/")), "/") + "/"
	u.RawPath = ""
	body := map[string]any{"topic": topic, "title": m.title(host), "message": m.body(plain), "priority": 3,
		"tags": []string{"warning"}}
	switch {
	case m.Kind == Resolved || m.Kind == Test:
		body["tags"] = []string{"white_check_mark"}
	case m.severity() == rhumb.SeverityCritical:
		body["priority"], body["tags"] = 5, []string{"rotating_light"}
	}
	if m.Link != "" {
		body["click"] = m.Link
	}
	return u.String(), encode(body)
}

// post returns the function that sends requests over HTTP. Redirects aren't followed: they could send secrets to
// another host.
func (e *endpoint) post() func(context.Context, request) error {
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSHandshakeTimeout: dialTime,
			ForceAttemptHTTP2:   true,
			DisableKeepAlives:   true, // messages are rare
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, r request) error {
		req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
		if err != nil {
			return errors.New("the address can't be used")
		}
		if r.contentType != "" {
			req.Header.Set("Content-Type", r.contentType)
		}
		req.Header.Set("User-Agent", "rhumb")
		if e.user != "" || e.password != "" {
			req.SetBasicAuth(e.user, e.password)
		}
		resp, err := client.Do(req)
		if err != nil {
			var outer *url.Error
			if errors.As(err, &outer) {
				err = outer.Err // the outer one repeats the URL
			}
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if resp.StatusCode/100 == 2 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the receiver answers %d, and then: %w", resp.StatusCode, err)
		}
		return refused(resp, answer)
	}
}

// refused returns what a receiver's answer means.
func refused(resp *http.Response, answer []byte) error {
	r := &refusal{text: fmt.Sprintf("the receiver answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
	if text := strings.TrimSpace(observe.OneLine(string(answer), maxShown)); text != "" {
		r.text += ": " + text
	}
	if resp.StatusCode/100 == 3 {
		r.text += "; redirects aren't followed"
	}
	again := []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}
	r.final = resp.StatusCode < 500 && !slices.Contains(again, resp.StatusCode)
	if n, err := strconv.ParseUint(strings.TrimSpace(resp.Header.Get("Retry-After")), 10, 31); err == nil {
		r.after = time.Duration(n) * time.Second
	}
	return r
}
