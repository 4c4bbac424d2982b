package server

import (
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/observe/forward"
	"rhumb/observe/notify"
)

// ObserverConfig is what the server and the process that observes the stacks are both told of that process.
type ObserverConfig struct {
	Forward URLs // where kept lines are sent as well
	AlertTo URLs // where messages about alerts are sent

	Metrics   string   // the address of /metrics and of Prometheus' API; "": there is none
	Dashboard string   // the address of the dashboard; "": there is none
	Hosts     []string // names under which browsers reach the dashboard, beside localhost and addresses
	Days      int      // for how many days measured values are kept
	Size      int      // how many MB they may take
}

func defaultObserverConfig() ObserverConfig {
	return ObserverConfig{
		Forward: URLs{Flag: "forward", Check: forward.CheckURLs},
		AlertTo: URLs{Flag: "alert-to", Check: notify.CheckURLs},
		Metrics: "127.0.0.1:7485", Dashboard: "127.0.0.1:7484", Days: 15, Size: 1000,
	}
}

// Flags adds the flags that the server and the process that observes have in common.
func (c *ObserverConfig) Flags(fs *pflag.FlagSet) {
	c.Forward.flags(fs, "also send all kept log lines to")
	c.AlertTo.flags(fs, "send messages about alerts to")
	fs.StringVar(&c.Metrics, "metrics", c.Metrics,
		"serve /metrics and Prometheus' API at this `ADDRESS`, without a password; \"\": nowhere")
	fs.StringVar(&c.Dashboard, "dashboard", c.Dashboard, "serve the dashboard at this `ADDRESS`; \"\": nowhere")
	fs.StringSliceVar(&c.Hosts, "dashboard-host", c.Hosts, "let browsers reach the dashboard under this `NAME` too")
	fs.IntVar(&c.Days, "metrics-days", c.Days, "keep measured values for this `NUMBER` of days")
	fs.IntVar(&c.Size, "metrics-size", c.Size, "keep at most this `NUMBER` of megabytes of measured values")
}

// Locate makes the paths of files absolute.
func (c *ObserverConfig) Locate() error {
	if err := c.Forward.locate(); err != nil {
		return err
	}
	return c.AlertTo.locate()
}

// Keep returns for how long measured values are kept.
func (c *ObserverConfig) Keep() time.Duration { return time.Duration(c.Days) * 24 * time.Hour }

// Exposed returns the files with URLs that all users can read, and so the passwords in them.
func (c *ObserverConfig) Exposed() []string {
	var files []string
	for _, u := range []*URLs{&c.Forward, &c.AlertTo} {
		if u.exposed() {
			files = append(files, u.File)
		}
	}
	return files
}

// Validate refuses what can't work.
func (c *ObserverConfig) Validate() error {
	for _, u := range []*URLs{&c.Forward, &c.AlertTo} {
		if _, err := u.All(); err != nil {
			return err
		}
	}
	if err := listenAddress("--metrics", c.Metrics); err != nil {
		return err
	}
	if err := listenAddress("--dashboard", c.Dashboard); err != nil {
		return err
	}
	if c.Metrics != "" && c.Metrics == c.Dashboard {
		return rhumb.Errorf(rhumb.Invalid, "--metrics and --dashboard have the same address %s", c.Metrics).
			WithHint("choose another port for one of them")
	}
	if c.Days < 1 || c.Days > 3650 {
		return rhumb.Errorf(rhumb.Invalid, "--metrics-days %d: values are kept for 1 to 3650 days", c.Days)
	}
	if c.Size < 100 {
		return rhumb.Errorf(rhumb.Invalid, "--metrics-size %d: at least 100 MB are needed", c.Size)
	}
	return nil
}

// listenAddress refuses an address at which nothing can listen. "" is no address.
func listenAddress(flag, text string) error {
	if text == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil && host != "" && host != "localhost" {
		_, err = netip.ParseAddr(host)
	}
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		return rhumb.Errorf(rhumb.Invalid, "%s %q is not an address", flag, text).
			WithHint("write 127.0.0.1:7484, or :7484 for all addresses of this machine")
	}
	return nil
}
