package build

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	bkclient "github.com/moby/buildkit/client"

	"rhumb"
)

// solveOptions are a build's options as BuildKit wants them.
type solveOptions struct {
	bkclient.SolveOpt
	dockerfile []byte // its text, to find lines in
}

// options returns BuildKit's options for a request, or an error if BuildKit can't do it.
func options(r rhumb.BuildRequest) (solveOptions, error) {
	names, err := imageNames(r)
	if err != nil {
		return solveOptions{}, err
	}
	attrs, err := attributes(r)
	if err != nil {
		return solveOptions{}, err
	}
	o := solveOptions{SolveOpt: bkclient.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attrs,
		Exports:       []bkclient.ExportEntry{{Type: "moby", Attrs: map[string]string{"name": names}}},
	}}
	if r.Build.Network == "host" {
		o.AllowedEntitlements = []string{"network.host"}
	}
	for _, from := range r.Build.CacheFrom {
		entry, err := cacheFrom(r.Service, from)
		if err != nil {
			return solveOptions{}, err
		}
		o.CacheImports = append(o.CacheImports, entry)
	}
	return o, nil
}

// imageNames returns the image's names, joined by commas.
func imageNames(r rhumb.BuildRequest) (string, error) {
	all := append([]string{r.Name}, r.Build.Tags...)
	for _, name := range all {
		if _, err := reference.ParseNormalizedNamed(name); err != nil || strings.Contains(name, ",") {
			return "", rhumb.Errorf(rhumb.Invalid, "service %s: invalid image name: %q", r.Service, name).
				WithHint("write it like registry.example.com/team/shop-web:1.0, in lower case")
		}
	}
	return strings.Join(all, ","), nil
}

func attributes(r rhumb.BuildRequest) (map[string]string, error) {
	b := r.Build
	attrs := map[string]string{"filename": "Dockerfile"}
	if b.Inline == "" && b.Dockerfile != "" && filepath.IsLocal(b.Dockerfile) {
		attrs["filename"] = filepath.ToSlash(filepath.Clean(b.Dockerfile))
	}
	if b.Inline != "" && b.Dockerfile != "" {
		return nil, rhumb.Errorf(rhumb.Invalid, "service %s: build has both dockerfile and dockerfile_inline", r.Service)
	}
	if err := fetch(r, attrs); err != nil {
		return nil, err
	}
	if err := buildArgs(r, attrs); err != nil {
		return nil, err
	}
	for key, value := range b.Labels {
		attrs["label:"+key] = value
	}
	hosts, err := extraHosts(r)
	if err != nil {
		return nil, err
	}
	if b.Network != "" && !slices.Contains([]string{"default", "none", "host"}, b.Network) {
		return nil, rhumb.Errorf(rhumb.Unsupported, "service %s: build.network %q is not supported", r.Service, b.Network).
			WithHint("use default, none or host")
	}
	set := func(key, value string, wanted bool) {
		if wanted {
			attrs[key] = value
		}
	}
	set("target", b.Target, b.Target != "")
	set("platform", b.Platform, b.Platform != "")
	set("no-cache", "", b.NoCache)
	set("image-resolve-mode", "pull", b.Pull)
	set("force-network-mode", b.Network, b.Network != "" && b.Network != "default")
	set("shm-size", strconv.FormatInt(b.ShmSize, 10), b.ShmSize > 0)
	set("add-hosts", hosts, hosts != "")
	set("ulimit", ulimits(b.Ulimits), len(b.Ulimits) > 0)
	return attrs, nil
}

// buildArgs sets the attributes of build arguments.
func buildArgs(r rhumb.BuildRequest, attrs map[string]string) error {
	for key, value := range r.Build.Args {
		if key == "BUILDKIT_INLINE_CACHE" {
			return rhumb.Errorf(rhumb.Unsupported, "service %s: build.args.%s is not supported: "+
				"Engine 20.10 builds broken images with it", r.Service, key).
				WithHint("remove it; the engine keeps its own cache")
		}
		attrs["build-arg:"+key] = value
	}
	return nil
}

// ulimits returns the limits in the frontend's form: "nofile=1024:2048,nproc=5:5".
func ulimits(list []rhumb.Ulimit) string {
	var words []string
	for _, u := range list {
		words = append(words, fmt.Sprintf("%s=%d:%d", u.Name, u.Soft, u.Hard))
	}
	return strings.Join(words, ",")
}

// fetch sets the attributes of a remote context, which the engine fetches.
func fetch(r rhumb.BuildRequest, attrs map[string]string) error {
	b := r.Build
	if !b.Remote() {
		return nil
	}
	if b.Inline != "" || b.Dockerfile != "" && !filepath.IsLocal(b.Dockerfile) {
		return rhumb.Errorf(rhumb.Invalid, "service %s: the Dockerfile isn't in the build context %s", r.Service, b.Context)
	}
	url, folder := remoteContext(b.Context)
	attrs["context"] = url
	if folder != "" {
		// Engine 20.10 can't build a folder of a repository. So the Dockerfile's name starts at the root of the
		// repository.
		attrs["contextsubdir"], attrs["filename"] = folder, path.Join(folder, attrs["filename"])
	}
	return nil
}

// gitURL matches what the engine treats as a repository; it treats any other URL as an archive.
var gitURL = regexp.MustCompile(`^(git://|git@|github\.com/)|\.git$`)

// remoteContext splits URL#REF:FOLDER into URL#REF and the folder.
func remoteContext(context string) (url, folder string) {
	url, fragment, _ := strings.Cut(context, "#")
	ref, folder, _ := strings.Cut(fragment, ":")
	if ref == "" && gitURL.MatchString(url) {
		ref = "HEAD" // Engine 20.10 would use master
	}
	if ref != "" {
		url += "#" + ref
	}
	return url, path.Clean("/" + folder)[1:]
}

// extraHosts turns entries "name:address" and "name=address" into BuildKit's list.
func extraHosts(r rhumb.BuildRequest) (string, error) {
	var list []string
	for _, h := range r.Build.ExtraHosts {
		i := strings.IndexAny(h, ":=")
		if i <= 0 || i == len(h)-1 {
			return "", rhumb.Errorf(rhumb.Invalid, "service %s: build.extra_hosts: %q must be name:address", r.Service, h)
		}
		name, addr := h[:i], strings.Trim(h[i+1:], "[]")
		if addr == "host-gateway" {
			return "", rhumb.Errorf(rhumb.Unsupported, "service %s: build.extra_hosts: host-gateway is not supported in builds",
				r.Service).
				WithHint("write the address itself")
		}
		list = append(list, name+"="+addr)
	}
	return strings.Join(list, ","), nil
}

// cacheFrom parses "image" or "type=registry,ref=image".
func cacheFrom(service, from string) (bkclient.CacheOptionsEntry, error) {
	entry := bkclient.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{}}
	if !strings.Contains(from, "=") {
		entry.Attrs["ref"] = from
		return entry, nil
	}
	for field := range strings.SplitSeq(from, ",") {
		key, value, _ := strings.Cut(field, "=")
		if key = strings.TrimSpace(key); key != "type" {
			entry.Attrs[key] = value
		} else if entry.Type = value; value != "registry" {
			return entry, rhumb.Errorf(rhumb.Unsupported, "service %s: build.cache_from: type %s is not supported", service,
				value).
				WithHint("use type=registry")
		}
	}
	if entry.Attrs["ref"] == "" {
		return entry, rhumb.Errorf(rhumb.Invalid, "service %s: build.cache_from: %q has no ref", service, from)
	}
	return entry, nil
}
