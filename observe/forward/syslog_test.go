package forward_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rsyslogConfig takes the parts of a message apart, so that the test sees how rsyslog has read them.
const rsyslogConfig = `
global(workDirectory="%[1]s" DefaultNetstreamDriverCAFile="%[2]s" DefaultNetstreamDriverCertFile="%[2]s"
	DefaultNetstreamDriverKeyFile="%[3]s" parser.escapeControlCharactersOnReceive="on")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
main_queue(queue.timeoutShutdown="10000")
template(name="parts" type="string"
	string="%%syslogseverity%% %%hostname%% %%app-name%% %%procid%% %%structured-data%% %%msg%%\n")
ruleset(name="tls") { action(type="omfile" file="%[1]s/tls.log" template="parts") }
ruleset(name="tcp") { action(type="omfile" file="%[1]s/tcp.log" template="parts") }
input(type="imtcp" address="127.0.0.1" port="%[4]s" ruleset="tls")
input(type="imptcp" address="127.0.0.1" port="%[5]s" ruleset="tcp")
`

func TestRsyslogReceivesEveryLineOverTLSAndTCP(t *testing.T) {
	if testing.Short() {
		t.Skip("runs rsyslog for seconds, and -short leaves that out")
	}
	bin, err := exec.LookPath("rsyslogd")
	if drivers, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_gtls.so"); err != nil || len(drivers) == 0 {
		missing(t, "rsyslog or its TLS driver is missing: scripts/test-tools installs them")
	}
	dir := t.TempDir()
	cert, key := certificate(t)
	tlsAddress, tcpAddress := freeAddress(t), freeAddress(t)
	_, tlsPort, _ := net.SplitHostPort(tlsAddress)
	_, tcpPort, _ := net.SplitHostPort(tcpAddress)
	config := filepath.Join(dir, "rsyslog.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, rsyslogConfig, dir, cert, key, tlsPort, tcpPort), 0o600); err != nil {
		t.Fatal(err)
	}
	p := run(t, tlsAddress, bin, "-n", "-f", config, "-i", filepath.Join(dir, "pid"))
	f := forwarding(t, "syslog+tls://"+tlsAddress+"?ca="+url.QueryEscape(cert), "syslog://"+tcpAddress)
	interrupted(t, f, p.stop, p.start)
	p.stop(t) // it writes what it still holds
	line := regexp.MustCompile(`^4 testhost shop-(web|api) shop-(?:web|api)\.7\.1 ` +
		`\[rhumb@32473 stack="shop" service="(?:web|api)" stream="std(?:out|err)" replica="shop-(?:web|api)\.7\.1" ` +
		`release="7" container="c0ffee" level="warn"\] ?number=(\d+) "quoted" \]äöü$`)
	for _, name := range []string{"tls", "tcp"} {
		file, err := os.Open(filepath.Join(dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		counts := map[int]int{}
		for s := bufio.NewScanner(file); s.Scan(); {
			m := line.FindStringSubmatch(s.Text())
			if m == nil {
				t.Fatalf("%s: rsyslog reads a message as %q", name, s.Text())
			}
			n, _ := strconv.Atoi(m[2]) // digits
			counts[n]++
		}
		check(t, "rsyslog over "+name, counts, f.sent, false)
	}
}

// TestAKilledReceiverCostsNoSyslogLine kills a syslog server of the test without warning, while it has read only a part
// of what the kernel took for it.
func TestAKilledReceiverCostsNoSyslogLine(t *testing.T) {
	address := freeAddress(t)
	counts := map[int]int{}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	f := forwarding(t, "syslog://"+address)
	f.lines(300 * time.Millisecond)
	for i := 0; len(counts) < f.sent; i++ {
		conn, err := l.Accept()
		if err != nil {
			t.Fatalf("%v: %d of %d lines have arrived: %+v", err, len(counts), f.sent, f.Status())
		}
		r := bufio.NewReader(conn)
		for n := 0; i > 1 || n < 10; n++ {
			text, err := r.ReadString(' ')
			if err != nil {
				break // the sender's end
			}
			size, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			message := make([]byte, size)
			if _, err := io.ReadFull(r, message); err != nil {
				t.Fatal(err)
			}
			var number int
			text = string(message[bytes.Index(message, []byte("number=")):])
			if _, err := fmt.Sscanf(text, "number=%d", &number); err != nil {
				t.Fatal(err)
			}
			counts[number]++
		}
		conn.Close() // with unread bytes, as when the process dies
	}
	f.settle(t)
	check(t, "syslog", counts, f.sent, false)
}
