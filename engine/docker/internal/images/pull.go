package images

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/internal/dockerauth"
)

// pull fetches an image from its registry.
func (im *Images) pull(ctx context.Context, r rhumb.ImageRequest, progress func(rhumb.ImageProgress)) error {
	named, err := reference.ParseNormalizedNamed(r.Ref)
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "image %q: %w", r.Ref, err)
	}
	o := client.ImagePullOptions{RegistryAuth: credentials(r.Auth, reference.Domain(named))}
	if system, rest, ok := strings.Cut(r.Platform, "/"); ok {
		arch, variant, _ := strings.Cut(rest, "/")
		o.Platforms = []ocispec.Platform{{OS: system, Architecture: arch, Variant: variant}}
	}
	stream, err := im.API.ImagePull(ctx, r.Ref, o)
	if err != nil {
		return im.pullFailure(err, r.Ref, reference.Domain(named))
	}
	defer stream.Close()
	sum := layers{}
	for m, err := range stream.JSONMessages(ctx) {
		if err == nil && m.Error != nil {
			err = m.Error
		}
		if err != nil {
			return im.pullFailure(err, r.Ref, reference.Domain(named))
		}
		if sum.add(m) && progress != nil {
			done, total := sum.total()
			progress(rhumb.ImageProgress{Ref: r.Ref, Done: done, Total: total})
		}
	}
	return nil
}

// layers sums up the progress of a pull.
type layers map[string]*layer

// layer is one layer's progress in bytes; a total of 0 isn't known yet.
type layer struct{ done, total int64 }

// add takes in one message, and reports whether it changed the sum.
func (l layers) add(m jsonstream.Message) bool {
	at := l[m.ID]
	switch {
	case m.Status == "Downloading" && m.Progress != nil:
		l[m.ID] = &layer{m.Progress.Current, m.Progress.Total}
		return true
	case m.Status == "Download complete" && at != nil:
		at.total = max(at.done, at.total)
		at.done = at.total
		return true
	}
	return false
}

// total returns the sums. The total is 0 while that of a layer is unknown.
func (l layers) total() (done, total int64) {
	known := true
	for _, at := range l {
		done += at.done
		total += at.total
		known = known && at.total > 0
	}
	if !known {
		return done, 0
	}
	return done, total
}

// credentials returns the header for a registry; "" if there are none for it.
func credentials(auth map[string]rhumb.Credentials, domain string) string {
	for host, c := range auth {
		if dockerauth.Host(host) != domain {
			continue
		}
		a := registry.AuthConfig{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken,
			ServerAddress: domain}
		if domain == "docker.io" {
			a.ServerAddress = "https://index.docker.io/v1/"
		}
		b, err := json.Marshal(a)
		if err != nil {
			panic(err) // only strings in there
		}
		return base64.URLEncoding.EncodeToString(b)
	}
	return ""
}

// pullFailure explains why a pull failed. Engines often give the reason in words only.
func (im *Images) pullFailure(err error, ref, domain string) error {
	failed := im.Fail(err, "pull "+ref)
	if conn.Is(failed, rhumb.Cancelled) || conn.Is(failed, rhumb.Timeout) || conn.Is(failed, rhumb.Unavailable) {
		return failed
	}
	text := conn.Words(err)
	p := &rhumb.Error{Code: rhumb.ErrorCode(failed), Msg: "pull " + ref + ": " + text, Err: err}
	switch {
	case contains(text, "unauthorized", "authentication required", "access denied", "denied:", "no basic auth",
		"incorrect username"):
		p.Code = rhumb.Denied
		p.Hint = "log in: docker login " + domain + "; or correct the name: registries don't say which of the two is wrong"
	case contains(text, "manifest unknown", "not found", "does not exist", "no matching manifest", "name unknown"):
		p.Code, p.Hint = rhumb.NotFound, "is the name right, and was it pushed? For another platform set platform:"
	case contains(text, "no such host", "dial tcp", "connection refused", "i/o timeout", "timeout", "tls:", "TLS", "EOF",
		"server misbehaving", "toomanyrequests", "Client.Timeout", "network is unreachable", "502", "503", "504"):
		p.Code = rhumb.Unavailable
		p.Hint = "can the server reach " + domain + "? With pull_policy: missing an image that is there needs no registry"
	}
	return p
}

// contains reports whether a text has one of the parts.
func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
