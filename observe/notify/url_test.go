package notify

import (
	"log/slog"
	"strings"
	"testing"

	"rhumb"
)

func TestURLsOfReceiversAreRead(t *testing.T) {
	for raw, want := range map[string]endpoint{
		"https://h.example.com/hook/SECRET?k=SECRET": {name: "https://h.example.com/…", kind: "webhook",
			url: "https://h.example.com/hook/SECRET?k=SECRET"},
		"http://u:SECRET@h:8080": {name: "http://h:8080", kind: "webhook", url: "http://h:8080", user: "u",
			password: "SECRET"},
		"slack+https://hooks.slack.com/services/T/B/SECRET": {name: "slack+https://hooks.slack.com/…", kind: "slack",
			url: "https://hooks.slack.com/services/T/B/SECRET"},
		"ntfy+https://:SECRET@ntfy.sh/SECRET": {name: "ntfy+https://ntfy.sh/…", kind: "ntfy", password: "SECRET",
			url: "https://ntfy.sh/SECRET"},
		"alertmanager+http://127.0.0.1:9093/am": {name: "alertmanager+http://127.0.0.1:9093/…", kind: "alertmanager",
			url: "http://127.0.0.1:9093/am"},
		"smtp://a%40b.c:SECRET@mail.example.com/?from=x@b.c&to=y@b.c,z@b.c": {name: "smtp://mail.example.com", kind: "mail",
			user: "a@b.c", password: "SECRET", address: "mail.example.com:587", host: "mail.example.com", from: "x@b.c",
			to: []string{"y@b.c", "z@b.c"}},
		"smtps://[::1]:46?from=x@b.c&to=y@b.c": {name: "smtps://[::1]:46", kind: "mail", tls: true, address: "[::1]:46",
			host: "::1", from: "x@b.c", to: []string{"y@b.c"}},
	} {
		got, err := parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		want.raw = raw
		same := strings.Join(got.to, " ") == strings.Join(want.to, " ")
		got.to, want.to = nil, nil
		if g, w := describe(got), describe(want); g != w || !same {
			t.Errorf("%s is\n%s, want\n%s", raw, g, w)
		}
		if strings.Contains(got.name, "SECRET") {
			t.Errorf("%s is shown as %s", raw, got.name)
		}
	}
}

func describe(e endpoint) string {
	return strings.Join([]string{e.name, e.kind, e.raw, e.url, e.user, e.password, e.address, e.host, e.from,
		map[bool]string{true: "tls"}[e.tls]}, "\n")
}

// badURLs are URLs that can't be used. None of their errors has the secret.
var badURLs = []string{
	"", "SECRET", "://SECRET", "telegram://SECRET@h/SECRET", strings.Repeat("SECRET", 20) + "://h",
	"https:///SECRET", "https://u:SECRET/x@h/", "https://h:99999/SECRET", "https://h/SECRET#SECRET", "https://h/SEC RET",
	"https://SECRET\n@h/", "slack+https://u:SECRET@h", "discord+https://u:SECRET@h/", "ntfy+https://:SECRET@h",
	"alertmanager+http://u:SECRET@h/?SECRET=SECRET", "smtp://u:SECRET@h", "smtp://u:SECRET@h/SECRET?from=a@b.c&to=a@b.c",
	"smtp://u:SECRET@h?from=a@b.c", "smtp://u:SECRET@h?from=a@b.c&to=SECRET", "smtp://u:SECRET@h?from=SECRET&to=a@b.c",
	"smtp://u:SECRET@h?from=a@b.c&to=a@b.c&SECRET=SECRET", "smtp://u:SECRET@h?from=A+%3Ca@b.c%3E&to=a@b.c",
	"smtp://u:SECRET@h?from=a@b.c%0d%0aSECRET&to=a@b.c", "smtp://SECRET@h?from=a@b.c&to=a@b.c",
}

func TestBadURLsAreInvalidAndSecretsStayOut(t *testing.T) {
	for _, raw := range badURLs {
		err := CheckURLs(raw)
		if rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) == "" {
			t.Errorf("%q: %v", raw, err)
		} else if strings.Contains(err.Error()+rhumb.ErrorHint(err), "SECRET") {
			t.Errorf("%q: %v | %s", raw, err, rhumb.ErrorHint(err))
		}
	}
	if err := CheckURLs("https://h/a", "https://h/b", "https://h/a"); rhumb.ErrorCode(err) != rhumb.Invalid ||
		!strings.Contains(err.Error(), "twice") {
		t.Errorf("one twice: %v", err)
	}
	if err := CheckURLs("https://h/a", "https://h/b"); err != nil {
		t.Errorf("two: %v", err)
	}
	if _, err := New(Options{URLs: []string{"x"}}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("New: %v", err)
	}
}

func FuzzURLsNeverPanic(f *testing.F) {
	for _, raw := range badURLs {
		f.Add(raw)
	}
	f.Add("smtps://u:p@h:1?from=a@b.c&to=d@e.f")
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := parse(raw)
		if err != nil {
			if rhumb.ErrorCode(err) != rhumb.Invalid {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		r := newReceiver(e, "host", slog.New(slog.DiscardHandler))
		m := Message{Kind: Firing, Stack: raw,
			New: []rhumb.Alert{{Text: raw, Rule: raw, Labels: map[string]string{raw: raw}}}}
		if req := r.render(m); len(req.body) == 0 {
			t.Errorf("%q: no body", raw)
		}
		if e.kind == "mail" && strings.Count(string(e.letter(r.render(m))), "\r\nTo:") != 1 {
			t.Errorf("%q: a header more", raw)
		}
	})
}
