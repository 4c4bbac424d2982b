package routeoption

import (
	"errors"
	"fmt"
	"strings"

	"rhumb"
)

// between are fields that frame a message, or that are between two neighbours (RFC 9110, 7.6.1).
const between = " connection content-length http2-settings keep-alive proxy-authenticate proxy-authorization " +
	"proxy-connection te trailer transfer-encoding upgrade "

// RequestField returns an error if the field of a request can't be changed. Names count with "_" for "-" too, because
// CGI and WSGI don't tell them apart.
func RequestField(name string) error {
	switch k := plain(name); {
	case !token(name):
		return fmt.Errorf("%q is not a field's name", name)
	case strings.Contains(between, " "+k+" ") || k == "expect":
		return fmt.Errorf("the proxy itself sets %s: it is about one connection, or one message", name)
	case k == "host":
		return fmt.Errorf("%s is the host that the client asked for", name)
	case k == "forwarded" || k == "x-real-ip" || strings.HasPrefix(k, "x-forwarded-"):
		return fmt.Errorf("the proxy itself sets %s: it is about the client", name)
	}
	return nil
}

// ResponseField returns an error if the field of an answer can't be changed.
func ResponseField(name string) error {
	switch k := plain(name); {
	case !token(name):
		return fmt.Errorf("%q is not a field's name", name)
	case strings.Contains(between, " "+k+" "):
		return fmt.Errorf("the proxy itself sets %s: it is about one connection, or one message", name)
	case k == "content-encoding" || k == "content-range" || k == "date":
		return fmt.Errorf("%s says what the body is", name)
	case k == "strict-transport-security":
		return fmt.Errorf("%s belongs to TLS: write x-rhumb.tls with hsts", name)
	}
	return nil
}

// Value returns an error if a value can't be that of a field.
func Value(v string) error {
	bad := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r == '\ufffd' }
	switch {
	case len(v) > maxValue:
		return fmt.Errorf("the value is longer than %d bytes", maxValue)
	case strings.ContainsFunc(v, bad):
		return errors.New("the value has control characters, such as a line break")
	case v != strings.Trim(v, " \t"):
		return errors.New("the value has blanks around it")
	}
	return nil
}

// changes checks all changes of a header.
func changes(h rhumb.HeaderChanges, field func(string) error) error {
	if len(h.Remove)+len(h.Set)+len(h.Add) > MaxFields {
		return fmt.Errorf("more than %d changes of a header", MaxFields)
	}
	for _, n := range h.Remove {
		if err := field(n); err != nil {
			return err
		}
	}
	for _, list := range [][]rhumb.HeaderField{h.Set, h.Add} {
		for _, f := range list {
			if err := field(f.Name); err != nil {
				return err
			}
			if err := Value(f.Value); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
	}
	return nil
}

// plain returns a name as it is compared.
func plain(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

// token reports whether s is a token of RFC 9110.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
