package server

import (
	"crypto/x509"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"rhumb"
)

// TLSConfig is how a server is configured for TLS.
type TLSConfig struct {
	HTTPS     string // the address where hosts with a certificate are served; "": TLS is off
	ACME      string // the authority's directory; "off": there is none
	ACMEEmail string
	ACMERoot  string // a file with the root certificate of the authority's own HTTPS
}

// letsEncrypt is the directory of Let's Encrypt.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

func defaultTLSConfig() TLSConfig { return TLSConfig{HTTPS: ":443", ACME: letsEncrypt} }

func (c *TLSConfig) flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.HTTPS, "https", c.HTTPS, "serve HTTPS routes at this `ADDRESS`; \"\": none")
	fs.StringVar(&c.ACME, "acme-ca", c.ACME,
		"order public hosts' certificates from the ACME authority at this `URL` (you accept its terms); \"off\": none")
	fs.StringVar(&c.ACMEEmail, "acme-email", c.ACMEEmail, "give the authority this e-mail `ADDRESS` as a contact")
	fs.StringVar(&c.ACMERoot, "acme-root", c.ACMERoot,
		"trust the root certificate in this `FILE` for the authority's own HTTPS")
}

// validate refuses what can't work, and makes the file's path absolute. http is the other entry.
func (c *TLSConfig) validate(http netip.AddrPort) error {
	https, err := c.entry()
	if err != nil {
		return err
	}
	if https == http {
		return rhumb.Errorf(rhumb.Invalid, "--https %s is the address of --http too", c.HTTPS)
	}
	if c.ACMERoot != "" {
		if c.ACMERoot, err = filepath.Abs(c.ACMERoot); err != nil {
			return rhumb.Errorf(rhumb.Invalid, "--acme-root %s: %w", c.ACMERoot, err)
		}
	}
	_, err = c.authority()
	return err
}

// entry reads the address for TLS; the zero value: off.
func (c *TLSConfig) entry() (netip.AddrPort, error) {
	if c.HTTPS == "" {
		return netip.AddrPort{}, nil
	}
	return entryAddress("--https", c.HTTPS, ":443 or 192.0.2.1:443")
}

// entryAddress reads the address of an entry. One without a host is all addresses, IPv4 and IPv6.
func entryAddress(flag, text, example string) (netip.AddrPort, error) {
	s := text
	if strings.HasPrefix(s, ":") {
		s = "[::]" + s
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil || addr.Port() == 0 {
		return addr, rhumb.Errorf(rhumb.Invalid, "%s %q is not an address", flag, text).WithHint("write %s", example)
	}
	return addr, nil
}

// maxRootFile is how many bytes a root's file may have.
const maxRootFile = 1 << 20

// authority returns the ACME authority; the zero value: none.
func (c *TLSConfig) authority() (rhumb.Authority, error) {
	if c.ACME == "off" || c.HTTPS == "" {
		return rhumb.Authority{}, nil
	}
	a := rhumb.Authority{Directory: c.ACME, Email: c.ACMEEmail}
	if u, err := url.Parse(c.ACME); err != nil || u.Scheme != "https" || u.Host == "" {
		return a, rhumb.Errorf(rhumb.Invalid, "--acme-ca %q is not the https URL of a directory", c.ACME).
			WithHint("write off for no ACME")
	}
	if c.ACMEEmail != "" && !strings.Contains(c.ACMEEmail, "@") {
		return a, rhumb.Errorf(rhumb.Invalid, "--acme-email %q is not an address", c.ACMEEmail)
	}
	if c.ACMERoot == "" {
		return a, nil
	}
	info, err := os.Stat(c.ACMERoot)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRootFile {
		return a, rhumb.Errorf(rhumb.Invalid, "--acme-root %s can't be read", c.ACMERoot)
	}
	b, err := os.ReadFile(c.ACMERoot)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(b) {
		return a, rhumb.Errorf(rhumb.Invalid, "--acme-root %s holds no certificate in PEM", c.ACMERoot)
	}
	a.Root = string(b)
	return a, nil
}
