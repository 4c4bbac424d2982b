package protocol

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"rhumb"
	"rhumb/internal/atomicfile"
	"rhumb/observe"
)

// Config is where lines are sent, and how.
type Config struct {
	Name     string // the URL without user, password and parameters: what people and logs see
	Protocol string // syslog, gelf, fluent, loki, otlp or elasticsearch
	TLS, UDP bool
	Address  string // host and port
	Path     string // of HTTP

	User, Password string
	TokenFile      string      // the file with a token that HTTP requests carry
	Header         http.Header // of HTTP requests
	KeyFile        string      // the file with the shared key of Fluent forward
	Metadata       bool        // Loki: send structured metadata

	CA, Cert, Key string // PEM files: authorities to trust instead of the system's; our own certificate and its key
}

// scheme is the beginning of a URL: a protocol and how it is carried.
type scheme struct {
	protocol string
	tls, udp bool
	port     string   // by default
	path     string   // by default; "": no path is allowed
	params   []string // that are allowed
}

var (
	tlsParams  = []string{"ca", "cert", "key"}
	httpParams = []string{"token_file", "header."}
)

// schemes are all that are understood.
var schemes = map[string]scheme{
	"syslog":     {protocol: "syslog", port: "601"},
	"syslog+tls": {protocol: "syslog", port: "6514", tls: true, params: tlsParams},
	"syslog+udp": {protocol: "syslog", port: "514", udp: true},
	"gelf":       {protocol: "gelf", port: "12201"},
	"gelf+tls":   {protocol: "gelf", port: "12201", tls: true, params: tlsParams},
	"gelf+udp":   {protocol: "gelf", port: "12201", udp: true},
	"fluent":     {protocol: "fluent", port: "24224", params: []string{"key_file"}},
	"fluent+tls": {protocol: "fluent", port: "24224", tls: true, params: with(tlsParams, "key_file")},
	"loki+http":  {protocol: "loki", port: "3100", path: "/loki/api/v1/push", params: with(httpParams, "metadata")},
	"loki+https": {protocol: "loki", port: "443", path: "/loki/api/v1/push", tls: true,
		params: with(httpsParams, "metadata")},
	"otlp+http":          {protocol: "otlp", port: "4318", path: "/v1/logs", params: httpParams},
	"otlp+https":         {protocol: "otlp", port: "4318", path: "/v1/logs", tls: true, params: httpsParams},
	"elasticsearch+http": {protocol: "elasticsearch", port: "9200", path: "/logs-rhumb", params: httpParams},
	"elasticsearch+https": {protocol: "elasticsearch", port: "9200", path: "/logs-rhumb", tls: true,
		params: httpsParams},
}

var httpsParams = with(httpParams, tlsParams...)

func with(params []string, more ...string) []string { return slices.Concat(params, more) }

// Parse reads a URL such as "syslog+tls://logs.example.com:6514?ca=/etc/ca.pem". Its errors are Invalid and never
// contain a password.
func Parse(raw string) (Config, error) {
	name, _, ok := strings.Cut(raw, "://")
	s, known := schemes[name]
	switch {
	case !ok || name == "":
		return Config{}, rhumb.Errorf(rhumb.Invalid, "log destination: this is not a URL").
			WithHint("write it as syslog+tls://HOST:6514; %s", knownSchemes())
	case !known && len(name) <= 40 && observe.IsPrintable(name):
		return Config{}, rhumb.Errorf(rhumb.Invalid, "log destination: unknown scheme %q", name).
			WithHint("%s", knownSchemes())
	case !known:
		return Config{}, rhumb.Errorf(rhumb.Invalid, "log destination: unknown scheme").WithHint("%s", knownSchemes())
	}
	u, err := url.Parse(raw)
	if err != nil || strings.Contains(u.EscapedPath(), "@") { // the parser's own words may contain the password
		return Config{}, rhumb.Errorf(rhumb.Invalid, "log destination %s://…: the URL can't be read", name).
			WithHint("write characters such as / @ : %% of user and password as %%2F %%40 %%3A %%25")
	}
	c := Config{Protocol: s.protocol, TLS: s.tls, UDP: s.udp, Metadata: true}
	if err := c.place(name, s, u); err != nil {
		return Config{}, err
	}
	if err := c.credentials(u); err != nil {
		return Config{}, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Config{}, c.wrong("its parameters can't be read", "write them as ?NAME=VALUE&NAME=VALUE, with %%26 for &")
	}
	return c, c.parameters(s, query)
}

func knownSchemes() string {
	all := make([]string, 0, len(schemes))
	for name := range schemes {
		all = append(all, name)
	}
	slices.Sort(all)
	return "schemes are " + strings.Join(all, ", ")
}

func (c *Config) wrong(what, hint string, args ...any) error {
	return rhumb.Errorf(rhumb.Invalid, "log destination %s: %s", c.Name, what).WithHint(hint, args...)
}

// place reads where the receiver is.
func (c *Config) place(name string, s scheme, u *url.URL) error {
	host, port := u.Hostname(), cmp.Or(u.Port(), s.port)
	c.Name = name + "://" + net.JoinHostPort(host, port)
	switch n, err := strconv.Atoi(port); {
	case !observe.IsHost(host):
		c.Name = name + "://…"
		return c.wrong("a host name is missing, or can't be one", "write %s://HOST:%s", name, s.port)
	case err != nil || n < 1 || n > 65535:
		return c.wrong("the port is out of range", "ports go from 1 to 65535")
	case u.Fragment != "" || u.RawFragment != "":
		return c.wrong("a fragment (#) isn't allowed", "write # as %%23")
	}
	c.Address = net.JoinHostPort(host, port)
	c.Path = strings.TrimRight(u.EscapedPath(), "/")
	if s.path == "" {
		if c.Path != "" {
			return c.wrong("a path isn't allowed", "write %s", c.Name)
		}
		return nil
	}
	c.Path = cmp.Or(c.Path, s.path)
	c.Name += c.Path
	if _, index := c.splitIndex(); c.Protocol == "elasticsearch" && (index == "_bulk" || index != strings.ToLower(index)) {
		return c.wrong("the last part of the path isn't the name of an index",
			"write it in lower case and without /_bulk: %s://%s/logs", name, c.Address)
	}
	return nil
}

// splitIndex returns the path of Elasticsearch's API and the name of the index.
func (c *Config) splitIndex() (prefix, index string) {
	prefix, index = path.Split(c.Path)
	return strings.TrimRight(prefix, "/"), index
}

func (c *Config) credentials(u *url.URL) error {
	if u.User == nil {
		return nil
	}
	c.User = u.User.Username()
	c.Password, _ = u.User.Password()
	if c.Protocol == "syslog" || c.Protocol == "gelf" {
		return c.wrong("the protocol has no user and password", "use TLS with a certificate: ?cert=FILE&key=FILE")
	}
	return nil
}

// parameters reads the URL's parameters.
func (c *Config) parameters(s scheme, query url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		prefix, header, isHeader := strings.Cut(name, "header.")
		isHeader = isHeader && prefix == "" && slices.Contains(s.params, "header.")
		switch {
		case !isHeader && !slices.Contains(s.params, name):
			if len(name) > 40 || !observe.IsPrintable(name) {
				name = "…"
			}
			return c.wrong("unknown parameter "+strconv.Quote(name), "%s", allowed(s))
		case len(values) != 1 || values[0] == "":
			return c.wrong("parameter "+strconv.Quote(name)+" needs one value", "write ?%s=VALUE", name)
		case isHeader && (!httpguts.ValidHeaderFieldName(header) || !httpguts.ValidHeaderFieldValue(values[0])):
			return c.wrong("a header has a name or value that HTTP doesn't allow", "write header.NAME=VALUE")
		case isHeader:
			if c.Header == nil {
				c.Header = http.Header{}
			}
			c.Header.Set(header, values[0])
		case name == "metadata" && values[0] != "yes" && values[0] != "no":
			return c.wrong(`parameter "metadata" is neither yes nor no`, "metadata=no is for Loki before 3.0")
		default:
			c.set(name, values[0])
		}
	}
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return c.wrong("cert and key go together", "write ?cert=FILE&key=FILE")
	case c.TokenFile != "" && (c.User != "" || c.Header.Get("Authorization") != ""),
		c.User != "" && c.Header.Get("Authorization") != "":
		return c.wrong("it has two kinds of credentials", "keep one: user and password, token_file, or header.Authorization")
	}
	return nil
}

func (c *Config) set(name, value string) {
	switch name {
	case "metadata":
		c.Metadata = value == "yes"
	case "token_file":
		c.TokenFile = value
	case "key_file":
		c.KeyFile = value
	case "ca":
		c.CA = value
	case "cert":
		c.Cert = value
	case "key":
		c.Key = value
	}
}

func allowed(s scheme) string {
	if len(s.params) == 0 {
		return "it has no parameters"
	}
	list := strings.Join(s.params, ", ")
	return "parameters are " + strings.Replace(list, "header.", "header.NAME", 1)
}

// tlsConfig reads the files of TLS. It returns nil without TLS.
func (c *Config) tlsConfig() (*tls.Config, error) {
	if !c.TLS {
		return nil, nil
	}
	host, _, _ := net.SplitHostPort(c.Address) // Parse has joined them
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.CA != "" {
		pem, err := atomicfile.Read(c.CA, 1<<20)
		if err != nil {
			return nil, c.wrong("its ca file can't be read: "+reason(err), "write ?ca=FILE with a file in PEM")
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, c.wrong("its ca file has no certificate", "write ?ca=FILE with a file in PEM")
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, c.wrong("its cert and key can't be used: "+reason(err), "write two PEM files that belong together")
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// reason returns an error's text.
func reason(err error) string {
	if os.IsNotExist(err) {
		return "there is no such file"
	}
	return err.Error()
}

// secret reads a file with a token or key.
func (c *Config) secret(file string) (string, error) {
	b, err := atomicfile.Read(file, 1<<16)
	if err != nil {
		return "", c.wrong("its token or key file can't be read: "+reason(err), "write the secret into the file")
	}
	return strings.TrimSpace(string(b)), nil
}
