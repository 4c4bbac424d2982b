package extension

import (
	"regexp"
	"strconv"
	"time"

	"rhumb"
)

const (
	tlsHint = "write off, acme, internal, or a mapping with cert and key, or with from, and with hsts and redirect"
	longest = 2 * 365 // days of HSTS
)

// tls reads x-rhumb.tls: a word, or a mapping.
func (r reader) tls(v any) *TLS {
	if on, ok := v.(bool); ok && !on {
		v = "off" // YAML reads it as false
	}
	if s, ok := v.(string); ok {
		return &TLS{TLS: rhumb.TLS{Source: r.source(s)}}
	}
	fields := r.fields(v, "from", "cert", "key", "hsts", "redirect")
	if fields == nil {
		return nil
	}
	w := &TLS{}
	if v, ok := fields["from"]; ok {
		w.Source = r.below("from").source(r.below("from").text(v))
	}
	for name, to := range map[string]*string{"cert": &w.Cert, "key": &w.Key} {
		if v, ok := fields[name]; ok {
			*to = r.below(name).text(v)
		}
	}
	switch {
	case (w.Cert == "") != (w.Key == ""):
		r.wrong("write both: cert is the chain, key is its private key", "one of cert and key is missing")
	case w.Cert != "" && w.Source != "":
		r.wrong("keep one of them", "from and cert are both set")
	case w.Cert != "":
		w.Source = rhumb.CertGiven
	}
	if v, ok := fields["hsts"]; ok {
		w.HSTS = r.below("hsts").days(v)
	}
	if v, ok := fields["redirect"]; ok {
		on, ok := v.(bool)
		if !ok {
			r.below("redirect").wrong("write true or false", "%v is neither true nor false", shown(v))
		}
		plain := !on
		w.Plain = &plain
		if plain && w.HSTS > 0 {
			r.below("redirect").wrong("leave one of them out", "hsts has browsers insist on HTTPS, redirect: false serves "+
				"HTTP too")
		}
	}
	return w
}

// TLS is the content of x-rhumb.tls. The pair is read later, once the routes are known.
type TLS struct {
	rhumb.TLS
	Cert, Key string // paths
}

func (r reader) source(s string) rhumb.CertSource {
	switch c := rhumb.CertSource(s); c {
	case rhumb.CertOff, rhumb.CertACME, rhumb.CertInternal:
		return c
	}
	r.wrong(tlsHint, "unknown source of certificates %q", s)
	return ""
}

var inDays = regexp.MustCompile(`^([0-9]{1,4})d$`)

// days reads a duration that may be in days: 180d.
func (r reader) days(v any) time.Duration {
	s, _ := v.(string)
	if m := inDays.FindStringSubmatch(s); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n <= longest {
			return time.Duration(n) * 24 * time.Hour
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 && d <= longest*24*time.Hour {
		return d
	}
	r.wrong("write it as 180d or 12h", "%v is not a time up to %dd", shown(v), longest)
	return 0
}
