package build

import "rhumb"

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
