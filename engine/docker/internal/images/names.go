package images

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

// keptAs returns the name that keeps an image of a release.
func keptAs(stack, service string, release int) string {
	return fmt.Sprintf("%s%s:%d", Prefix, repositoryName(stack+"-"+service), release)
}

// repositoryName makes a name fit for a repository: lower case, separators only between other characters. A name that
// had to change gets a part of its hash, so that two names never become one.
func repositoryName(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	clean := strings.TrimSuffix(b.String(), "-")
	if clean == name {
		return clean
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimPrefix(fmt.Sprintf("%s-%x", clean, sum[:4]), "-")
}

// repositoryOf returns the part of a mark that stands for the repository of a name.
func repositoryOf(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return repositoryName(name)
	}
	return repositoryName(reference.FamiliarName(named))
}

// repository returns the full repository of an image's name.
func repository(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return named.Name()
}
