package server

import (
	"strings"
	"testing"

	"rhumb"
)

func TestAWrongServerConfigurationIsRefused(t *testing.T) {
	for words, spoil := range map[string]func(*Config){
		"not an address":       func(c *Config) { c.HTTP = "80" },
		"is not an address":    func(c *Config) { c.HTTP = ":0" },
		"is the address of":    func(c *Config) { c.TLS.HTTPS = ":80" },
		"--https \"x\"":        func(c *Config) { c.TLS.HTTPS = "x" },
		"not the https URL":    func(c *Config) { c.TLS.ACME = "http://ca.example" },
		"--acme-email":         func(c *Config) { c.TLS.ACMEEmail = "nobody" },
		"can't be read":        func(c *Config) { c.TLS.ACMERoot = "/nowhere" },
		"holds no certificate": func(c *Config) { c.TLS.ACMERoot = "config_test.go" },
		"not a network":        func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/8", "everyone"} },
		"at least the one":     func(c *Config) { c.KeepReleases = 0 },
		"no log format":        func(c *Config) { c.LogFormat = "xml" },
		"the proxy can't be":   func(c *Config) { c.Proxy = "off" },
		"observe can't be":     func(c *Config) { c.Observe = "on" },
		"--metrics \"80\"":     func(c *Config) { c.Observer.Metrics = "80" },
		"--dashboard \"h:1\"":  func(c *Config) { c.Observer.Dashboard = "h:1" },
		"the same address":     func(c *Config) { c.Observer.Dashboard = c.Observer.Metrics },
		"1 to 3650 days":       func(c *Config) { c.Observer.Days = 0 },
		"at least 100 MB":      func(c *Config) { c.Observer.Size = 99 },
		"too long":             func(c *Config) { c.Socket = "/" + strings.Repeat("x", 120) },
	} {
		c := DefaultConfig()
		spoil(&c)
		if err := c.Validate(); rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v", words, err)
		}
	}
	c := DefaultConfig()
	c.HTTP, c.TrustedProxies = "192.0.2.1:8080", []string{"10.0.0.0/8", "::1"}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
