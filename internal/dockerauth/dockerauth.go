// Package dockerauth reads registry credentials from the user's Docker configuration.
package dockerauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"

	"rhumb"
)

const (
	// hub is the name of Docker's own registry in a Docker configuration.
	hub = "https://index.docker.io/v1/"

	maxConfig     = 1 << 20
	helperTimeout = 30 * time.Second
)

// Config is a Docker configuration. The zero value has no credentials.
type Config struct {
	Auths       map[string]Entry  `json:"auths"`
	CredHelpers map[string]string `json:"credHelpers"`
	CredsStore  string            `json:"credsStore"`
}

// Entry is a Docker configuration's entry for one registry.
type Entry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
}

// Load reads DIR/config.json. A missing file is the zero Config; a malformed one is Invalid.
func Load(dir string) (Config, error) {
	path := filepath.Join(dir, "config.json")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, rhumb.Errorf(rhumb.Invalid, "the Docker configuration can't be read: %w", err)
	}
	defer f.Close()
	var c Config
	if err := json.NewDecoder(io.LimitReader(f, maxConfig)).Decode(&c); err != nil {
		return Config{}, rhumb.Errorf(rhumb.Invalid, "%s: not a Docker configuration: %w", path, err)
	}
	return c, nil
}

// Registry returns the registry of an image as credentials are stored for it: its host, or "docker.io". It returns ""
// if ref is not an image in a registry.
func Registry(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	return reference.Domain(named)
}

// Host returns the name of a registry, in whichever form a Docker configuration has it: "https://index.docker.io/v1/"
// is "docker.io".
func Host(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, _, _ := strings.Cut(key, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		return "docker.io"
	}
	return host
}

// For returns the credentials for the registries of the images, by registry, without registries that have none. A
// credential helper that fails is Denied, unless it reports that it has no credentials.
func (c *Config) For(ctx context.Context, images []string) (map[string]rhumb.Credentials, error) {
	found := map[string]rhumb.Credentials{}
	asked := map[string]bool{}
	for _, ref := range images {
		registry := Registry(ref)
		if registry == "" || asked[registry] {
			continue
		}
		asked[registry] = true
		cred, err := c.one(ctx, registry)
		if err != nil {
			return nil, err
		}
		if cred != (rhumb.Credentials{}) {
			found[registry] = cred
		}
	}
	return found, nil
}

func (c *Config) one(ctx context.Context, registry string) (rhumb.Credentials, error) {
	for _, key := range keys(registry) {
		if helper := c.CredHelpers[key]; helper != "" {
			return ask(ctx, helper, key)
		}
	}
	for _, key := range keys(registry) {
		if c.CredsStore != "" {
			if cred, err := ask(ctx, c.CredsStore, key); err != nil || cred != (rhumb.Credentials{}) {
				return cred, err
			}
		}
		if e, ok := c.Auths[key]; ok {
			return e.credentials(key)
		}
	}
	return rhumb.Credentials{}, nil
}

// keys returns the names under which a configuration may have a registry.
func keys(registry string) []string {
	if registry == "docker.io" {
		return []string{hub, "index.docker.io", "docker.io", "https://index.docker.io"}
	}
	return []string{registry, "https://" + registry, "https://" + registry + "/", "http://" + registry}
}

func (e Entry) credentials(key string) (rhumb.Credentials, error) {
	cred := rhumb.Credentials{Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken}
	if e.Auth == "" {
		return cred, nil
	}
	b, err := base64.StdEncoding.DecodeString(e.Auth)
	user, password, ok := strings.Cut(string(b), ":")
	if err != nil || !ok {
		return cred, rhumb.Errorf(rhumb.Invalid, "the Docker configuration's credentials for %s can't be decoded", key).
			WithHint("docker login %s", key)
	}
	cred.Username, cred.Password = user, strings.TrimRight(password, "\x00")
	return cred, nil
}

// ask runs a credential helper: "docker-credential-NAME get".
func ask(ctx context.Context, helper, key string) (rhumb.Credentials, error) {
	var cred rhumb.Credentials
	if strings.ContainsAny(helper, `/\`) {
		return cred, rhumb.Errorf(rhumb.Invalid, "the Docker configuration names a credential helper %q, which is not a name",
			helper)
	}
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	name := "docker-credential-" + helper
	cmd := exec.CommandContext(ctx, name, "get")
	cmd.Stdin = strings.NewReader(key)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		words := strings.TrimSpace(out.String() + said.String())
		if strings.Contains(words, "not found in native keychain") || strings.Contains(words, "credentials not found") {
			return cred, nil
		}
		return cred, rhumb.Errorf(rhumb.Denied, "%s has no credentials for %s: %w%s", name, key, err, after(words)).
			WithHint("docker login %s", key)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return cred, rhumb.Errorf(rhumb.Denied, "the answer of %s is not JSON", name)
	}
	if answer.Username == "<token>" {
		return rhumb.Credentials{IdentityToken: answer.Secret}, nil
	}
	return rhumb.Credentials{Username: answer.Username, Password: answer.Secret}, nil
}

func after(words string) string {
	if words == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", words[:min(len(words), 200)])
}
