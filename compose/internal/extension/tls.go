package extension

import "rhumb"

const (
	tlsHint     = "write off, acme, internal, or a mapping with cert and key, or with from, and with hsts and redirect"
	longestHSTS = 730 * day
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
		w.HSTS = r.below("hsts").days(v, 1, longestHSTS, "up to 730d")
	}
	if v, ok := fields["redirect"]; ok {
		plain := !r.below("redirect").yes(v)
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
