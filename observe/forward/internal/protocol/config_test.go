package protocol

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
)

func TestURLsAreReadOrRefusedWithAReason(t *testing.T) {
	for _, c := range []struct{ url, name, wrong string }{
		{"syslog://host", "syslog://host:601", ""},
		{"syslog+tls://host?ca=/etc/ca.pem", "syslog+tls://host:6514", ""},
		{"syslog+udp://[::1]:515", "syslog+udp://[::1]:515", ""},
		{"gelf://host/", "gelf://host:12201", ""},
		{"gelf+udp://host", "gelf+udp://host:12201", ""},
		{"fluent://u:p%40ss@host?key_file=/k", "fluent://host:24224", ""},
		{"loki+https://u:p@host/loki/api/v1/push?metadata=no", "loki+https://host:443/loki/api/v1/push", ""},
		{"loki+http://host?header.X-Scope-OrgID=team", "loki+http://host:3100/loki/api/v1/push", ""},
		{"otlp+http://host", "otlp+http://host:4318/v1/logs", ""},
		{"otlp+https://host/a/v1/logs?token_file=/t", "otlp+https://host:4318/a/v1/logs", ""},
		{"elasticsearch+http://host/prefix/logs", "elasticsearch+http://host:9200/prefix/logs", ""},

		{"host:601", "", "not a URL"},
		{"", "", "not a URL"},
		{"kafka://host", "", `unknown scheme "kafka"`},
		{"http://host", "", `unknown scheme "http"`},
		{"syslog://", "", "a host name is missing"},
		{"syslog://host:0", "", "out of range"},
		{"syslog://host:99999", "", "out of range"},
		{"syslog://host:s3cret", "", "can't be read"},
		{"syslog://host/path", "", "a path isn't allowed"},
		{"syslog://u:s3cret@host", "", "no user and password"},
		{"syslog://host?ca=/f", "", `unknown parameter "ca"`},
		{"syslog+tls://host?ca=", "", "needs one value"},
		{"syslog+tls://host?ca=a&ca=b", "", "needs one value"},
		{"syslog+tls://host?cert=a", "", "go together"},
		{"syslog+tls://host#x", "", "fragment"},
		{"loki+http://u:s3c/ret@host/p", "", "can't be read"},
		{"loki+http://u:1/s3cret@host/p", "", "can't be read"},
		{"loki+http://host?metadata=maybe&As3cret=1", "", "unknown parameter"},
		{"loki+http://host?metadata=maybe", "", "neither yes nor no"},
		{"loki+http://host?a=%zz", "", "parameters can't be read"},
		{"loki+http://host?header.a%20b=s3cret", "", "HTTP doesn't allow"},
		{"loki+http://u:s3cret@host?token_file=/t", "", "two kinds of credentials"},
		{"elasticsearch+http://host/logs/_bulk", "", "name of an index"},
		{"elasticsearch+http://host/Logs", "", "name of an index"},
	} {
		got, err := Parse(c.url)
		if c.wrong == "" {
			if err != nil || got.Name != c.name {
				t.Errorf("%s: %q, %v, want %q", c.url, got.Name, err, c.name)
			}
			continue
		}
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), c.wrong) || rhumb.ErrorHint(err) == "" {
			t.Errorf("%s: %v (hint %q), want %q", c.url, err, rhumb.ErrorHint(err), c.wrong)
		}
		if text := err.Error() + rhumb.ErrorHint(err); strings.Contains(text, "%!") ||
			strings.Contains(text, "s3c") && !strings.Contains(c.wrong, "unknown parameter") {
			t.Errorf("%s: the error says too much: %s", c.url, text)
		}
	}
}

func TestFilesThatCannotBeUsedAreRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ params, wrong string }{
		{"ca=/no/such/file", "no such file"},
		{"ca=" + url.QueryEscape(empty), "has no certificate"},
		{"cert=" + url.QueryEscape(empty) + "&key=" + url.QueryEscape(empty), "can't be used"},
	} {
		conf, err := Parse("syslog+tls://host?" + c.params)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conf.Sender(Deps{}); rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.params, err, c.wrong)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("loki+https", "user", "s3cretpassword", "host:9", "path?metadata=no")
	f.Add("syslog", "", "a:b@c/d", "[::1]", "")
	f.Add("loki+http", "0", "0", "::", "0")
	f.Add("elasticsearch+http", "u", "%zz", "h", "i?header.A=b")
	f.Fuzz(func(t *testing.T, scheme, user, password, host, rest string) {
		raw := scheme + "://" + user + ":" + password + "@" + host + "/" + rest
		c, err := Parse(raw)
		secret := len(password) > 8 && !strings.Contains(scheme+host+rest+user, password)
		if err != nil {
			text := err.Error() + rhumb.ErrorHint(err)
			if secret && strings.Contains(text, password) && !strings.Contains(knownSchemes(), password) {
				t.Errorf("%q: the error has the password: %s", raw, text)
			}
			if rhumb.ErrorCode(err) != rhumb.Invalid {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		again, err := Parse(c.Name)
		if err != nil || again.Name != c.Name || again.Address != c.Address {
			t.Errorf("%q: its name %q is read as %+v, %v", raw, c.Name, again, err)
		}
		if _, err := c.Sender(Deps{}); err != nil && rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%q: %v", raw, err)
		}
	})
}
