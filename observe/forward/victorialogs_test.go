package forward_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// victoriaLogs returns the program. The version is that of scripts/victoria-logs.
var victoriaLogs = sync.OnceValues(func() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	if out, err := exec.Command(filepath.Join(root, "scripts", "victoria-logs")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("victoria-logs can't be built: %w\n%s", err, out)
	}
	return filepath.Join(root, ".cache", "victoria-logs", "v1.52.1", "victoria-logs"), nil
})

func TestVictoriaLogsReceivesEveryLineInEachProtocol(t *testing.T) {
	if testing.Short() {
		t.Skip("runs VictoriaLogs for seconds, and -short leaves that out")
	}
	bin, err := victoriaLogs()
	if err != nil {
		missing(t, "%v", err)
	}
	for name, c := range map[string]struct {
		url   func(http, syslog string) string
		once  bool
		where string // fields that a line must have, in LogsQL
	}{
		"syslog": {func(_, syslog string) string { return "syslog://" + syslog }, false,
			`hostname:=testhost app_name:="shop-web" "rhumb@32473.stack":=shop severity:=4`},
		"loki": {func(http, _ string) string { return "loki+http://" + http + "/insert/loki/api/v1/push" }, true,
			`{stack="shop",service="web",stream="stdout"} replica:="shop-web.7.1" release:=7 level:=warn host:=testhost`},
		"otlp": {func(http, _ string) string { return "otlp+http://" + http + "/insert/opentelemetry/v1/logs" }, true,
			`{service.name="web",service.namespace="shop",service.version="7"} severity_text:=warn severity_number:=13 ` +
				`log.iostream:=stdout number:=2`},
		"elasticsearch": {func(http, _ string) string {
			return "elasticsearch+http://" + http + "/insert/elasticsearch/logs?header.VL-Msg-Field=message" +
				"&header.VL-Time-Field=%40timestamp&header.VL-Stream-Fields=stack,service"
		}, true, `{stack="shop",service="web"} replica:="shop-web.7.1" host.name:=testhost level:=warn`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			httpAddress, syslogAddress := freeAddress(t), freeAddress(t)
			p := run(t, httpAddress, bin, "-httpListenAddr="+httpAddress, "-syslog.listenAddr.tcp="+syslogAddress,
				"-storageDataPath="+t.TempDir(), "-memory.allowedBytes=64MiB", "-loggerLevel=WARN")
			f := forwarding(t, c.url(httpAddress, syslogAddress))
			interrupted(t, f, p.stop, p.start)
			counts := map[int]int{}
			eventually(t, func() bool {
				counts = map[int]int{}
				for _, l := range query(t, httpAddress, "*") {
					var n int
					if _, err := fmt.Sscanf(l["_msg"], `number=%d "quoted" ]äöü`, &n); err != nil {
						t.Fatalf("VictoriaLogs reads a line as %q", l)
					}
					counts[n]++
				}
				return len(counts) >= f.sent
			})
			check(t, name, counts, f.sent, c.once)
			if len(query(t, httpAddress, c.where)) == 0 {
				t.Errorf("no line has %s; one is %q", c.where, query(t, httpAddress, "* | limit 1"))
			}
		})
	}
}

// eventually waits for a receiver to show what it has taken.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f() && time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
	}
}

// query returns what VictoriaLogs finds.
func query(t *testing.T, address, q string) (lines []map[string]string) {
	t.Helper()
	resp, err := http.PostForm("http://"+address+"/select/logsql/query", url.Values{"query": {q}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var l map[string]string
		if err := d.Decode(&l); err == io.EOF {
			return lines
		} else if err != nil {
			t.Fatalf("%s: %v", resp.Status, err)
		}
		lines = append(lines, l)
	}
}
