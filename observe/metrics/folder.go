package metrics

import (
	"context"
	"log/slog"
	"path/filepath"
)

// folder is the folder of a store, and the log of what happens to it.
type folder struct {
	dir string
	log *slog.Logger
}

// path returns the path of a file in the folder.
func (d folder) path(names ...string) string {
	return filepath.Join(append([]string{d.dir}, names...)...)
}

// library returns the library's logger: of what it reports only warnings and errors matter to operators.
func (d folder) library() *slog.Logger { return slog.New(atLeastWarn{d.log.Handler()}) }

type atLeastWarn struct{ slog.Handler }

func (h atLeastWarn) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h atLeastWarn) WithAttrs(as []slog.Attr) slog.Handler {
	return atLeastWarn{h.Handler.WithAttrs(as)}
}

func (h atLeastWarn) WithGroup(name string) slog.Handler {
	return atLeastWarn{h.Handler.WithGroup(name)}
}
