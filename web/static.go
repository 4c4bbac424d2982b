package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates static
var files embed.FS

// statics are what pages need besides themselves, by name: one style, one script, the icon. The style and the script
// are all files of their kind, in the order of their names.
var statics = map[string][]byte{
	"style.css":   all("*.css"),
	"script.js":   lean(all("*.js")),
	"favicon.svg": all("favicon.svg"),
}

// stamp is a hash of them all. It is part of their addresses, so browsers may keep them.
var stamp = func() string {
	h := sha256.New()
	for _, name := range []string{"style.css", "script.js", "favicon.svg"} {
		h.Write(statics[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

func all(pattern string) []byte {
	names, err := fs.Glob(files, "static/"+pattern)
	if err != nil || len(names) == 0 {
		panic("web: no file " + pattern)
	}
	var text bytes.Buffer
	for _, name := range names {
		part, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		text.Write(part)
	}
	return text.Bytes()
}

// lean returns a script without comments that have a line of their own, and without indentation.
func lean(script []byte) []byte {
	var text bytes.Buffer
	for line := range bytes.Lines(script) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			text.Write(append(line, '\n'))
		}
	}
	return text.Bytes()
}

// asset returns the address of one of the statics.
func asset(name string) string { return "/static/" + stamp + "/" + name }

func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	text, ok := statics[name]
	if !ok || !strings.HasPrefix(r.URL.Path, "/static/") {
		http.NotFound(w, r)
		return
	}
	if r.URL.Path == asset(name) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
}
