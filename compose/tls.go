package compose

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

const (
	tlsHint        = "write off, acme, internal, or a mapping with cert and key, or with from, and with hsts and redirect"
	maxCertificate = 256 << 10 // bytes of a certificate's or key's file
	longest        = 2 * 365   // days of HSTS
)

// tls is what x-rhumb.tls says: a word, or a mapping.
func (r reader) tls(v any) *tlsWish {
	if on, ok := v.(bool); ok && !on {
		v = "off" // which YAML takes for false
	}
	if s, ok := v.(string); ok {
		return &tlsWish{TLS: rhumb.TLS{Source: r.source(s)}}
	}
	fields := r.fields(v, "from", "cert", "key", "hsts", "redirect")
	if fields == nil {
		return nil
	}
	w := &tlsWish{}
	if v, ok := fields["from"]; ok {
		w.Source = r.below("from").source(r.below("from").text(v))
	}
	for name, to := range map[string]*string{"cert": &w.cert, "key": &w.key} {
		if v, ok := fields[name]; ok {
			*to = r.below(name).text(v)
		}
	}
	switch {
	case (w.cert == "") != (w.key == ""):
		r.wrong("write both: cert is the chain, key is its private key", "one of cert and key is missing")
	case w.cert != "" && w.Source != "":
		r.wrong("keep one of them", "from and cert are both said")
	case w.cert != "":
		w.Source = rhumb.CertGiven
	}
	if v, ok := fields["hsts"]; ok {
		w.HSTS = r.below("hsts").days(v)
	}
	if v, ok := fields["redirect"]; ok {
		on, ok := v.(bool)
		if !ok {
			r.below("redirect").wrong("write true or false", "%v is neither true nor false", v)
		}
		plain := !on
		w.Plain = &plain
		if plain && w.HSTS > 0 {
			r.below("redirect").wrong("leave one of them out", "hsts has browsers insist on HTTPS, redirect: false serves HTTP too")
		}
	}
	return w
}

// tlsWish is what the file says; the pair's contents are read once the routes are known.
type tlsWish struct {
	rhumb.TLS
	cert, key string // paths
}

func (r reader) source(s string) rhumb.CertSource {
	switch c := rhumb.CertSource(s); c {
	case rhumb.CertOff, rhumb.CertACME, rhumb.CertInternal:
		return c
	}
	r.wrong(tlsHint, "there is no source of certificates %q", s)
	return ""
}

var inDays = regexp.MustCompile(`^([0-9]{1,4})d$`)

// days reads a time that may be long: 180d.
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
	r.wrong("write it as 180d or 12h", "%v is not a time up to %dd", v, longest)
	return 0
}

// certified fills in what the services say of TLS, and refuses what can't come true.
func (c *converter) certified(services []rhumb.Service) {
	held := map[string]string{} // by host: which service says something
	for i := range services {
		s := &services[i]
		w := c.extras[s.Name].tls
		path := "services." + s.Name + "." + extensionKey + ".tls"
		hosts := hostsOf(s)
		if w == nil {
			c.noteWildcards(s)
			continue
		}
		s.TLS = w.TLS
		if len(hosts) == 0 {
			c.bad.at(path, "add routes with a host, or leave tls out", "no route of the service has a host name")
			continue
		}
		for _, h := range hosts {
			other := named(services, held[h])
			switch {
			case w.Source == rhumb.CertACME && strings.HasPrefix(h, "*."):
				c.bad.at(path, "give files with cert and key, or write internal", "%s can't have a certificate over ACME: authorities give those for wildcards only by way of the DNS", h)
			case w.Source == rhumb.CertACME && !rhumb.PublicHost(h):
				c.bad.at(path, "write internal, or give files with cert and key", "%s can't have a certificate over ACME: it isn't a public name", h)
			case other != nil && !sameTLS(other.TLS, s.TLS):
				c.bad.at(path, "say the same for both, or say it once", "%s says something else of %s", other.Name, h)
			}
			held[h] = s.Name
		}
		if w.Source == rhumb.CertGiven {
			s.TLS.Given = c.pair(path, w, hosts)
		}
	}
}

func named(services []rhumb.Service, name string) *rhumb.Service {
	i := slices.IndexFunc(services, func(s rhumb.Service) bool { return s.Name == name })
	if name == "" || i < 0 {
		return nil
	}
	return &services[i]
}

// sameTLS compares what two services say, but for the pair, which is the same if its files are.
func sameTLS(a, b rhumb.TLS) bool {
	plain := func(p *bool) bool { return p != nil && *p }
	return a.Source == b.Source && a.HSTS == b.HSTS && plain(a.Plain) == plain(b.Plain)
}

func hostsOf(s *rhumb.Service) []string {
	hosts := map[string]bool{}
	for _, r := range s.Routes {
		if r.Host != "" {
			hosts[r.Host] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// noteWildcards tells that wildcards get no certificate unless somebody says from where.
func (c *converter) noteWildcards(s *rhumb.Service) {
	for i, r := range s.Routes {
		if strings.HasPrefix(r.Host, "*.") {
			c.note(fmt.Sprintf("services.%s.%s.routes[%d]", s.Name, extensionKey, i), rhumb.Emulated,
				"a wildcard is served over HTTP only, unless x-rhumb.tls is internal or gives files")
		}
	}
}

// pair reads a certificate with its key, looks whether they are good for the hosts, and gives the hash under which the stack has them.
func (c *converter) pair(path string, w *tlsWish, hosts []string) string {
	cert, ok := c.pem(path+".cert", w.cert)
	key, ok2 := c.pem(path+".key", w.key)
	if !ok || !ok2 {
		return ""
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		c.bad.at(path, "cert is the certificate with its chain, key the private key that belongs to it, both in PEM",
			"the pair can't be used: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return ""
	}
	leaf := pair.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			c.bad.at(path+".cert", "", "it can't be read: %s", err)
			return ""
		}
	}
	if time.Now().After(leaf.NotAfter) {
		c.bad.at(path+".cert", "put the renewed certificate there", "%s expired on %s", w.cert, leaf.NotAfter.Format(time.DateOnly))
	}
	for _, h := range hosts {
		if leaf.VerifyHostname(strings.Replace(h, "*.", "any.", 1)) != nil || strings.HasPrefix(h, "*.") && !slices.Contains(leaf.DNSNames, h) {
			c.bad.at(path+".cert", "it is for "+strings.Join(leaf.DNSNames[:min(len(leaf.DNSNames), 5)], ", "), "%s isn't for %s", w.cert, h)
		}
	}
	all := bytes.Join([][]byte{bytes.TrimSpace(cert), bytes.TrimSpace(key), nil}, []byte("\n"))
	return c.keep(fileKey{rhumb.FileCertificate, filepath.ToSlash(w.cert)}, all).Hash
}

// pem reads a file of the user's, relative to the project folder.
func (c *converter) pem(path, name string) ([]byte, bool) {
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(c.in.dir, file)
	}
	b, err := readRegular(file, c.in.shown(file), maxCertificate)
	if err != nil {
		c.bad.at(path, "", "%s", err)
	}
	return b, err == nil
}
