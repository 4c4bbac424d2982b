package build

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rhumb"
)

const maxInstruction = 160 // bytes of a Dockerfile line in an error

var exitCode = regexp.MustCompile(`exit code: (\d+)`)

// failure is what is known about a failed build.
type failure struct {
	request    rhumb.BuildRequest
	dockerfile []byte // its text; nil if it was not read yet
	output     *reporter
	dial       error // why the engine could not be reached
}

// explain returns an error with the Dockerfile's line and the step's last output.
func (f failure) explain(ctx context.Context, err error) error {
	var own *rhumb.Error
	subject := "build of service " + f.request.Service
	switch {
	case errors.As(err, &own):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return rhumb.Errorf(rhumb.Timeout, "%s: timed out: %w", subject, err)
	case ctx.Err() != nil:
		return rhumb.Errorf(rhumb.Cancelled, "%s: cancelled: %w", subject, err)
	case f.dial != nil:
		return rhumb.Errorf(rhumb.Unavailable, "%s: the engine's builder can't be reached: %w", subject, f.dial)
	case status.Code(rootCause(err)) == codes.Unavailable:
		return rhumb.Errorf(rhumb.Unavailable, "%s: the connection to the engine's builder broke: %w", subject, err)
	}
	failing, output := f.step()
	what := reason(err)
	code, hint := classify(what)
	line, instruction := place(err)
	if line == 0 {
		line, instruction = locate(f.dockerfile, f.request.Build.Args, failing, err.Error())
	}
	if frontend.MatchString(failing) {
		hint = "the engine can't pull the Dockerfile's frontend: remove this line to use the engine's own, " +
			"or name an image that it can pull"
	}
	if instruction != "" {
		what = instruction + ": " + what
	}
	at := ""
	if line > 0 {
		at = fmt.Sprintf("%s:%d", dockerfileName(f.request.Build), line)
	} else {
		what = subject + ": " + what
	}
	for _, l := range output {
		what += "\n  | " + l
	}
	return &rhumb.Error{Code: code, Msg: what, Hint: hint, At: at, Err: err}
}

// step returns the name and the last output of the failed step.
func (f failure) step() (name string, output []string) {
	if f.output == nil {
		return "", nil
	}
	return f.output.failed()
}

// rootCause returns the error that carries the remote end's status code.
func rootCause(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, ok := e.(interface{ GRPCStatus() *status.Status }); ok {
			return e
		}
	}
	return err
}

// chaff matches the prefixes that BuildKit adds while an error passes through it.
var chaff = regexp.MustCompile(`^(failed to solve(?: with frontend [\w.]+)?|rpc error: code = \w+ desc =|` +
	`failed to (?:create LLB definition|` +
	`compute cache key|load cache key|calculate checksum of ref \S+)|dockerfile parse error (?:on )?line \d+):? `)

// reason returns the cause without BuildKit's prefixes.
func reason(err error) string {
	text := err.Error()
	if m := exitCode.FindStringSubmatch(text); m != nil {
		return "exit code " + m[1]
	}
	for chaff.MatchString(text) {
		text = chaff.ReplaceAllString(text, "")
	}
	return text
}

// classify returns the code and hint for a cause: a registry's answer, or a mistake in the Dockerfile.
func classify(reason string) (code rhumb.Code, hint string) {
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(reason, w) })
	}
	switch {
	case says("401 Unauthorized", "403 Forbidden", "pull access denied", "authorization failed",
		"no basic auth credentials", "insufficient_scope"):
		return rhumb.Denied, "run docker login for the registry, and check the image's name"
	case says("failed to fetch remote", "error fetching default branch"):
		return rhumb.Invalid, "the server's engine fetches the repository: it must find it, and reach it without a password"
	case says("repository does not contain ref"):
		return rhumb.Invalid, "put a branch, a tag or a commit after #"
	case says("failed to do request: "):
		return rhumb.Unavailable, "the server can't reach the image's registry"
	default:
		return rhumb.Invalid, ""
	}
}

// place returns the line and the instruction that the engine names, or 0.
func place(err error) (line int, instruction string) {
	sources := errdefs.Sources(err)
	if len(sources) == 0 {
		return 0, ""
	}
	s := sources[0] // the innermost
	start, end := 0, 0
	for _, r := range s.Ranges {
		if r.Start == nil || r.End == nil {
			continue
		}
		if start == 0 || int(r.Start.Line) < start {
			start = int(r.Start.Line)
		}
		end = max(end, int(r.End.Line), start)
	}
	if s.Info == nil || start == 0 {
		return 0, ""
	}
	return start, excerpt(s.Info.Data, start, end)
}

// dockerfileName returns the Dockerfile's path as the user writes it.
func dockerfileName(b rhumb.Build) string {
	name := b.Dockerfile
	switch {
	case b.Inline != "":
		return "dockerfile_inline"
	case name == "":
		name = "Dockerfile"
	case filepath.IsAbs(name):
		return name
	}
	if b.Remote() {
		return b.Context + " " + name
	}
	return path.Join(filepath.ToSlash(b.Context), filepath.ToSlash(name))
}
