package docker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
)

// registry is a registry with one image, "app:1", behind a password.
type registry struct {
	host     string // as image names have it
	manifest string // its digest
	blobs    map[string][]byte
	pulls    int
	// noticed, unless it is nil, is closed once the engine has reported a part of a layer. Until then the registry keeps
	// the second half back: Engine 29 reports by the clock, and not at all what arrives between two ticks.
	noticed chan struct{}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{blobs: map[string][]byte{}}
	content := make([]byte, 3<<20)
	_, _ = rand.Read(content) // never fails; no other test's image has it
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "random", Mode: 0o644, Size: int64(len(content))})
	_, _ = w.Write(content)
	_ = w.Close()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(plain.Bytes())
	_ = z.Close()
	config := r.add(t, map[string]any{
		"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers",
			"diff_ids": []string{digest(plain.Bytes())}},
		"config": map[string]any{"Volumes": map[string]any{"/data": map[string]any{}},
			"ExposedPorts": map[string]any{"80/tcp": map[string]any{}},
			"Healthcheck":  map[string]any{"Test": []string{"CMD", "check"}, "Interval": 5e9}},
	})
	r.blobs[digest(packed.Bytes())] = packed.Bytes()
	const v2 = "application/vnd.docker."
	r.manifest = r.add(t, map[string]any{
		"schemaVersion": 2, "mediaType": v2 + "distribution.manifest.v2+json",
		"config": map[string]any{"mediaType": v2 + "container.image.v1+json", "digest": config, "size": len(r.blobs[config])},
		"layers": []any{map[string]any{"mediaType": v2 + "image.rootfs.diff.tar.gzip", "digest": digest(packed.Bytes()),
			"size": packed.Len()}},
	})
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.host = strings.TrimPrefix(s.URL, "http://")
	return r
}

func (r *registry) add(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	r.blobs[digest(b)] = b
	return digest(b)
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if user, password, _ := q.BasicAuth(); user != "ada" || password != "pw" {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return
	}
	name := q.URL.Path[strings.LastIndexByte(q.URL.Path, '/')+1:]
	if strings.Contains(q.URL.Path, "/manifests/") {
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		if name == "1" {
			name = r.manifest
		}
		w.Header().Set("Docker-Content-Digest", name)
		r.pulls++
	}
	b, ok := r.blobs[name]
	switch {
	case q.URL.Path == "/v2/":
	case ok:
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		if half := len(b) / 2; r.noticed != nil && len(b) > 1<<20 {
			_, _ = w.Write(b[:half])
			_ = http.NewResponseController(w).Flush()
			b = b[half:]
			select {
			case <-r.noticed:
			case <-time.After(10 * time.Second):
			}
		}
		_, _ = w.Write(b)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`)
	}
}

func TestAnImageIsPulledWithCredentialsAndProgress(t *testing.T) {
	e := need(t)
	reg := newRegistry(t)
	ref := reg.host + "/app:1"
	auth := map[string]rhumb.Credentials{"https://" + reg.host + "/v1/": {Username: "ada", Password: "pw"}}
	t.Cleanup(func() {
		for _, name := range []string{ref, reg.host + "/app@" + reg.manifest} {
			_, _ = raw(t).ImageRemove(context.Background(), name, client.ImageRemoveOptions{Force: true})
		}
	})
	var last rhumb.ImageProgress
	reg.noticed = make(chan struct{})
	notice := sync.OnceFunc(func() { close(reg.noticed) })
	img, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: ref, Auth: auth}, func(p rhumb.ImageProgress) {
		if last = p; p.Done > 0 {
			notice()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !img.Pulled || img.Digest != reg.host+"/app@"+reg.manifest || len(img.Volumes) != 1 || img.Volumes[0] != "/data" ||
		len(img.Ports) != 1 || img.Ports[0] != "80/tcp" || img.Health == nil || img.Health.Test[1] != "check" ||
		img.Size == 0 {
		t.Errorf("image: %+v", img)
	}
	if last.Ref != ref || last.Done != last.Total || last.Total < 3<<20 {
		t.Errorf("progress ended at %+v", last)
	}
	again, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: ref, Policy: rhumb.PullAlways, Auth: auth}, nil)
	if err != nil || !again.Pulled || again.ID != img.ID || reg.pulls < 2 {
		t.Errorf("pulled again: %+v, %v, %d pulls", again, err, reg.pulls)
	}
	pulls := reg.pulls
	for _, ref := range []string{ref, reg.host + "/app@" + reg.manifest, img.ID} {
		here, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: ref}, nil)
		if err != nil || here.ID != img.ID || reg.pulls != pulls {
			t.Errorf("%s is there: %+v, %v, %d pulls", ref, here, err, reg.pulls)
		}
	}
	stack := stackName(t)
	if err := e.Keep(t.Context(), stack, "Web_App", 1, img.ID); err != nil {
		t.Fatal(err)
	}
	if err := e.Release(t.Context(), stack, "Web_App", 1, true); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: ref, Policy: rhumb.PullNever},
		nil); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("what was pulled is not removed with its last release: %v", err)
	}
}

func TestImagesThatTheUserPulledAreNotPruned(t *testing.T) {
	e := need(t)
	mine, ours := newRegistry(t), newRegistry(t)
	auth := map[string]rhumb.Credentials{}
	for _, r := range []*registry{mine, ours} {
		auth[r.host] = rhumb.Credentials{Username: "ada", Password: "pw"}
		t.Cleanup(func() {
			for _, name := range []string{r.host + "/app:1", r.host + "/app@" + r.manifest} {
				_, _ = raw(t).ImageRemove(context.Background(), name, client.ImageRemoveOptions{Force: true})
			}
		})
	}
	login, err := json.Marshal(map[string]string{"username": "ada", "password": "pw"})
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := raw(t).ImagePull(t.Context(), mine.host+"/app:1",
		client.ImagePullOptions{RegistryAuth: base64.URLEncoding.EncodeToString(login)})
	if err == nil {
		err = pulled.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{mine.host + "/app:1", ours.host + "/app@" + ours.manifest} {
		img, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: ref, Policy: rhumb.PullAlways, Auth: auth}, nil)
		if err != nil || img.Pulled != strings.HasPrefix(ref, ours.host) {
			t.Errorf("%s: %+v, %v", ref, img, err)
		}
	}
	begun := time.Now()
	freed, err := e.Sweep(t.Context(), nil, 0)
	t.Logf("pruned in %v", time.Since(begun))
	if err != nil || freed < 3<<20 {
		t.Errorf("%d bytes freed, %v", freed, err)
	}
	if _, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: mine.host + "/app:1", Policy: rhumb.PullNever},
		nil); err != nil {
		t.Errorf("the user's: %v", err)
	}
	if _, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: ours.host + "/app@" + ours.manifest,
		Policy: rhumb.PullNever}, nil); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("rhumb's own, which no release needs: %v", err)
	}
}

func TestAnImageOfAHandMadeNameOutlivesItsRelease(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	built, mine := stack+"-web:1", stack+"-mine:1"
	id := changed(t, built, "LABEL made.for="+stack)
	t.Cleanup(func() {
		_, _ = raw(t).ImageRemove(context.Background(), id, client.ImageRemoveOptions{Force: true})
	})
	if _, err := raw(t).ImageTag(t.Context(), client.ImageTagOptions{Source: id, Target: mine}); err != nil {
		t.Fatal(err)
	}
	if err := e.Keep(t.Context(), stack, "web", 1, id); err != nil {
		t.Fatal(err)
	}
	if err := e.Release(t.Context(), stack, "web", 1, true); err != nil {
		t.Fatal(err)
	}
	if img, err := e.Resolve(t.Context(), rhumb.ImageRequest{Ref: mine, Policy: rhumb.PullNever}, nil); err != nil ||
		img.ID != id {
		t.Errorf("%+v, %v", img, err)
	}
}

func TestAPullThatFailsSaysWhy(t *testing.T) {
	e := need(t)
	reg := newRegistry(t)
	gone := newRegistry(t)
	auth := map[string]rhumb.Credentials{reg.host: {Username: "ada", Password: "pw"}}
	for name, c := range map[string]struct {
		r    rhumb.ImageRequest
		want rhumb.Code
	}{
		"without credentials": {rhumb.ImageRequest{Ref: reg.host + "/app:1"}, rhumb.Denied},
		"wrong credentials": {rhumb.ImageRequest{Ref: gone.host + "/app:1",
			Auth: map[string]rhumb.Credentials{gone.host: {Username: "eve"}}}, rhumb.Denied},
		"no such tag":       {rhumb.ImageRequest{Ref: reg.host + "/app:2", Auth: auth}, rhumb.NotFound},
		"no registry there": {rhumb.ImageRequest{Ref: "127.0.0.1:1/app:1"}, rhumb.Unavailable},
		"not a name":        {rhumb.ImageRequest{Ref: "UPPER CASE"}, rhumb.Invalid},
	} {
		_, err := e.Resolve(t.Context(), c.r, nil)
		if rhumb.ErrorCode(err) != c.want || rhumb.ErrorHint(err) == "" {
			t.Errorf("%s: %q, %v", name, rhumb.ErrorCode(err), err)
		}
	}
}
