package build

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"rhumb"
)

// privateRegistry serves one image, "base:1", to the user ada with the password "lovelace". asked counts the requests
// with these credentials.
func privateRegistry(t *testing.T) (host string, asked *atomic.Int32) {
	t.Helper()
	layer := stream(t, &tar.Header{Name: "from-the-registry", Size: 3})
	blobs := map[string][]byte{}
	put := func(b []byte) map[string]any {
		sum := sha256.Sum256(b)
		digest := "sha256:" + hex.EncodeToString(sum[:])
		blobs[digest] = b
		return map[string]any{"digest": digest, "size": len(b)}
	}
	typed := func(d map[string]any, mediaType string) map[string]any {
		d["mediaType"] = mediaType
		return d
	}
	encode := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	layerBlob := typed(put(layer), "application/vnd.docker.image.rootfs.diff.tar")
	config := encode(map[string]any{"architecture": "amd64", "os": "linux",
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{layerBlob["digest"]}}})
	const manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	manifest := put(encode(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": typed(put(config), "application/vnd.docker.container.image.v1+json"), "layers": []any{layerBlob},
	}))
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "lovelace" {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		asked.Add(1)
		digest := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if digest == "1" {
			digest, _ = manifest["digest"].(string)
		}
		b, ok := blobs[digest]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", manifestType)
		}
		w.Header().Set("Docker-Content-Digest", digest)
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

func TestAPrivateBaseImageNeedsTheRequestsCredentials(t *testing.T) {
	w := newWorkshop(t)
	host, asked := privateRegistry(t)
	dir := tree(t, map[string]string{"a": w.stack, "Dockerfile": "FROM " + host + "/base:1\nCOPY a /a\n"})
	r := w.request("web")
	for name, auth := range map[string]map[string]rhumb.Credentials{
		"none": nil, "wrong": {host: {Username: "ada", Password: "byron"}},
		"another host's": {"example.com": {Username: "ada", Password: "lovelace"}},
	} {
		r.Auth = auth
		_, _, err := w.build(dir, r)
		if rhumb.ErrorCode(err) != rhumb.Denied || !strings.Contains(rhumb.ErrorHint(err), "docker login") ||
			strings.Contains(err.Error(), "byron") {
			t.Fatalf("%s: got %q: %v", name, rhumb.ErrorCode(err), err)
		}
		t.Log(err)
	}
	r.Auth = map[string]rhumb.Credentials{"http://" + host + "/v1/": {Username: "ada", Password: "lovelace"}}
	img, _ := w.must(w.build(dir, r))
	if !strings.Contains(string(w.content(r.Name)), "from-the-registry") || img.ID == "" {
		t.Fatal("the base image's file isn't in the image")
	}
	// A cache that doesn't exist is requested with the same credentials, and doesn't fail the build.
	before := asked.Load()
	r.Build.CacheFrom = []string{host + "/cache:none", "type=registry,ref=" + host + "/cache:other"}
	w.must(w.build(dir, r))
	if asked.Load() == before {
		t.Fatal("the caches were not asked for")
	}
}
