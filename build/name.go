package build

import (
	"crypto/sha256"
	"encoding/hex"

	"rhumb"
)

const shortCommit = 7 // characters, as git itself shortens

// Name names the image of a service: STACK-SERVICE:COMMIT, with "-dirty" when there are changes that aren't committed. Outside of a git
// repository the tag is "nogit".
func Name(stack, service string, git rhumb.Git) string {
	tag := git.Commit
	if tag == "" {
		return stack + "-" + service + ":nogit"
	}
	if len(tag) > shortCommit {
		tag = tag[:shortCommit]
	}
	if git.Dirty {
		tag += "-dirty"
	}
	return stack + "-" + service + ":" + tag
}

// RemoteName names the image of a service whose context the engine fetches: STACK-SERVICE:remote-HASH. The hash is the context's
// URL, so that the name stays while the project's own files change.
func RemoteName(stack, service, context string) string {
	sum := sha256.Sum256([]byte(context))
	return stack + "-" + service + ":remote-" + hex.EncodeToString(sum[:6])
}
