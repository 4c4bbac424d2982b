package gitrev

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Origin returns where a folder's files come from, in a form that is the same in all clones of a repository: the
// remote without scheme, user and password, and the folder in the repository ("github.com/acme/shop/deploy"). It
// returns "" without a repository, or without a remote on another machine.
func Origin(ctx context.Context, dir string) (string, error) {
	list, err := git(ctx, dir, "remote")
	if err != nil || list == "" {
		return "", err
	}
	remotes := strings.Fields(list)
	remote := remotes[0]
	if slices.Contains(remotes, "origin") {
		remote = "origin"
	}
	address, err := git(ctx, dir, "config", "--get", "remote."+remote+".url")
	if err != nil {
		return "", err
	}
	below, err := git(ctx, dir, "rev-parse", "--show-prefix")
	if err != nil {
		return "", err
	}
	name := remoteName(address)
	if name == "" {
		return "", nil
	}
	return path.Join(name, below), nil
}

// remoteName returns HOST/PATH of a remote's address, without ".git"; "" for a local path.
func remoteName(address string) string {
	host, file := "", ""
	if strings.Contains(address, "://") {
		if u, err := url.Parse(address); err == nil {
			host, file = u.Hostname(), u.Path
		}
	} else if before, after, ok := strings.Cut(address, ":"); ok && !strings.Contains(before, "/") { // git@host:path
		host, file = before[strings.LastIndex(before, "@")+1:], after
	}
	if host == "" {
		return ""
	}
	return path.Join(strings.ToLower(host), strings.TrimSuffix(strings.TrimSuffix(file, "/"), ".git"))
}
