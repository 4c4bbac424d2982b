package observed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"rhumb"
	"rhumb/httpapi"
	"rhumb/internal/atomicfile"
	"rhumb/internal/pause"
)

// front is an address at which the process answers people and other programs.
type front struct {
	name    string // "dashboard"
	addr    string
	handler http.Handler
	log     *slog.Logger
}

// frontPause is the time between two tries to bind an address.
const frontPause = 5 * time.Second

// run answers until ctx ends. An address that another process holds costs neither lines nor values: it is tried again.
func (f front) run(ctx context.Context) error {
	for last := ""; ; {
		ln, err := net.Listen("tcp", f.addr)
		if err == nil {
			f.log.Info("listening", "for", f.name, "addr", ln.Addr().String())
			err = httpapi.Serve(ctx, ln, f.handler, f.log)
			_ = ln.Close() // Serve has closed it, unless it failed
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != last {
			last = err.Error()
			f.log.Warn("address not served; trying again", "for", f.name, "addr", f.addr, "err", err)
		}
		if !pause.For(ctx, frontPause) {
			return nil
		}
	}
}

// dashboardKey returns the key that lets its holder into the dashboard. It makes the key if there is none.
func dashboardKey(folder string) (string, error) {
	file := filepath.Join(folder, "dashboard.key")
	b, err := atomicfile.Read(file, 1024)
	if key := strings.TrimSpace(string(b)); err == nil && key != "" {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", rhumb.Errorf(rhumb.Unavailable, "the key of the dashboard can't be read: %w", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	key := hex.EncodeToString(random)
	if err := atomicfile.Write(file, []byte(key+"\n"), 0o600); err != nil {
		return "", rhumb.Errorf(rhumb.Unavailable, "the key of the dashboard can't be kept: %w", err)
	}
	return key, nil
}
