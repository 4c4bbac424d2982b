package proxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/linelog"
	"rhumb/proxy"
)

// fail2ban is Debian's fail2ban, with one jail that reads an access log and writes the clients that it bans to a file.
type fail2ban struct {
	*testing.T
	dir, banned string
}

// What is banned in both: four refused sign-ins within three seconds.
const (
	oracleCount = 4
	oracleIn    = 3 * time.Second
)

func newFail2ban(t *testing.T, logs string) *fail2ban {
	t.Helper()
	if _, err := exec.LookPath("fail2ban-server"); err != nil {
		t.Skip(err, ": scripts/test-tools installs it")
	}
	f := &fail2ban{T: t, dir: t.TempDir()}
	f.banned = filepath.Join(f.dir, "banned")
	files := map[string]string{
		"fail2ban.conf": "[Definition]\nloglevel = INFO\nlogtarget = " + f.dir + "/log\nsyslogsocket = auto\n" +
			"socket = " + f.dir + "/socket\npidfile = " + f.dir + "/pid\ndbfile = None\ndbpurgeage = 1d\n",
		"jail.conf": fmt.Sprintf("[DEFAULT]\nbackend = polling\n[rhumb]\nenabled = true\nfilter = rhumb\naction = note\n"+
			"logpath = %s\nmaxretry = %d\nfindtime = %d\nbantime = 3600\nignoreself = false\nusedns = no\n", logs, oracleCount,
			int(oracleIn.Seconds())),
		"filter.d/rhumb.conf": "[Definition]\n" +
			`failregex = ^.*\\"status\\":401,.*\\"client\\":\\"<ADDR>\\"` + "\n" +
			`datepattern = \\"time\\":\\"%%Y-%%m-%%dT%%H:%%M:%%S(?:\.\d+)?Z\\"` + "\n" +
			`              "time":"%%Y-%%m-%%dT%%H:%%M:%%S(?:\.\d+)?%%z"` + "\n",
		"action.d/note.conf": "[Definition]\nactionban = echo <ip> >>" + f.banned + "\nactionunban = true\n",
	}
	for name, text := range files {
		path := filepath.Join(f.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "fail2ban-server", "-c", f.dir, "-s", f.dir+"/socket", "-p", f.dir+"/pid",
		"-f", "start")
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		log, _ := os.ReadFile(f.dir + "/log")
		t.Logf("fail2ban: %s\n%s", out, log)
	})
	eventually(t, "fail2ban is ready", func() bool {
		log, _ := os.ReadFile(f.dir + "/log")
		return strings.Contains(string(log), "Jail 'rhumb' started")
	})
	return f
}

// clients returns what it has banned, sorted.
func (f *fail2ban) clients() []string {
	b, _ := os.ReadFile(f.banned)
	list := strings.Fields(string(b))
	slices.Sort(list)
	return slices.Compact(list)
}

// TestFail2BanBansTheSameClients has clients fail at their own pace, and compares with what fail2ban makes of the same
// access log.
func TestFail2BanBansTheSameClients(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a quarter of a minute, and -short is on")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	dir, addr := t.TempDir(), freeAddr(t)
	lines := linelog.New(filepath.Join(dir, "access"), linelog.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { lines.Run(ctx, slog.New(slog.DiscardHandler)) })
	defer work.Wait()
	defer cancel()
	p := start(t, proxy.Options{Access: lines})
	table := banning(1, addr, rhumb.HTTP, rhumb.Bans{For: time.Hour, Private: true, On: []rhumb.BanRule{{Name: "login",
		Status: []rhumb.StatusRange{{From: 401, To: 401}}, Count: oracleCount, In: oracleIn}}}, web(t, "a", signIn))
	table.Backends[0].AccessLog = true
	apply(t, p, table)
	url := "http://" + addr.String()
	post(t, visitor(t, "127.0.1.250"), url+"/") // which makes the file
	var paths []string
	eventually(t, "there is a log", func() bool {
		paths, _ = filepath.Glob(filepath.Join(dir, "access*"))
		return len(paths) > 0
	})
	f := newFail2ban(t, paths[0])
	// Each client fails each so many seconds. Paces near the limit are left out: fail2ban knows whole seconds only.
	paces := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond,
		2500 * time.Millisecond, 4 * time.Second, time.Hour}
	clients := map[string]time.Duration{}
	next := map[string]time.Time{}
	for i := range 30 {
		from := fmt.Sprintf("127.0.1.%d", i+1)
		clients[from] = paces[random.IntN(len(paces))]
		next[from] = time.Now().Add(time.Duration(random.IntN(1000)) * time.Millisecond)
	}
	visitors := map[string]*http.Client{}
	for from := range clients {
		visitors[from] = visitor(t, from)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); <-tick.C {
		for from, pace := range clients {
			if time.Now().After(next[from]) {
				next[from] = time.Now().Add(pace)
				post(t, visitors[from], url+"/login")
			}
		}
	}
	var ours []string
	list, err := proxy.BookOf(p).Bans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		ours = append(ours, b.Client.Addr().String())
	}
	slices.Sort(ours)
	eventually(t, "fail2ban has read the log", func() bool { return len(f.clients()) >= len(ours) })
	if theirs := f.clients(); !slices.Equal(ours, theirs) || len(ours) == 0 {
		t.Errorf("we ban\n%v, fail2ban\n%v, of the paces %v", ours, theirs, clients)
	}
	t.Logf("both ban %d of %d clients", len(ours), len(clients))
	for from, pace := range clients {
		if banned := slices.Contains(ours, from); banned != (pace < time.Second) {
			t.Errorf("%s, which fails each %s, is banned: %v", from, pace, banned)
		}
	}
}
