package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/porttest"
	"rhumb/proxy"
)

// nginxLimits is nginx with the limit that the test gives the proxy.
const nginxLimits = `daemon off;
master_process off;
pid %[1]s/pid;
error_log %[1]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	limit_req_zone $http_x_key zone=keys:10m rate=%[3]dr/s;
	limit_req_status 429;
	server {
		listen 127.0.0.1:%[2]d;
		root %[1]s;
		location / { limit_req zone=keys burst=%[4]d nodelay; }
	}
}
`

// nginx runs nginx with such a limit until the test ends, and returns its address.
func nginx(t *testing.T, rate, burst int) netip.AddrPort {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Skip("no nginx: scripts/test-tools installs it")
		}
	}
	dir, port := t.TempDir(), porttest.Free(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"index.html": "hello",
		"nginx.conf": fmt.Sprintf(nginxLimits, dir, port, rate, burst)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	eventually(t, "nginx answers", func() bool {
		resp, err := http.Get("http://" + at.String() + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	})
	return at
}

// Both get the same requests at the same moments, of four keys: one within its limit, others far over it.
func TestLimitsAreExactlyThoseOfNginx(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds, and -short is on")
	}
	const rate, burst, keys = 50, 20, 4
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r, p, addr, other := rand.New(rand.NewPCG(seed, 0)), start(t, proxy.Options{}), freeAddr(t), nginx(t, rate, burst)
	apply(t, p, limitedTo(1, addr, rhumb.HTTP, web(t, "a", nil), rhumb.Limit{By: rhumb.ByHeader + "X-Key",
		Rate: rhumb.Rate{Count: rate, Per: time.Second}, Burst: burst}))
	var passed [2][keys]int
	clients := [2]*http.Client{clientOf(t, false), clientOf(t, false)}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for step := range 1200 {
		<-tick.C
		if step/100%4 == 3 {
			continue // a pause, in which buckets empty
		}
		for key := range keys {
			if key == 0 && step%10 != 0 {
				continue // which keeps it within its limit
			}
			for range r.IntN(key*2 + 2) {
				var both sync.WaitGroup
				for i, at := range []netip.AddrPort{addr, other} {
					both.Go(func() {
						resp, _ := query(t, clients[i], "GET", "http://"+at.String()+"/", nil, "X-Key", fmt.Sprint("key", key))
						if resp.StatusCode == 200 {
							passed[i][key]++
						}
					})
				}
				both.Wait()
			}
		}
	}
	t.Logf("passed: %v", passed)
	for key := range keys {
		ours, its := float64(passed[0][key]), float64(passed[1][key])
		if its < 20 || ours < its*0.98 || ours > its*1.02 {
			t.Errorf("key %d: %v passed, of nginx %v", key, ours, its)
		}
	}
}
