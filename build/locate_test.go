package build

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"

	"rhumb"
)

const stagedDockerfile = `# a remark
ARG V=1
FROM debian:${V} AS Tools
RUN one
ENV A=b
WORKDIR /src
COPY a \
     b \
     /src/
FROM scratch
COPY --from=tools /a /a
FROM tools AS last
RUN <<EOF
two
EOF
COPY --from=nginx /n /n
ADD x /x
`

func TestAStepIsFoundInTheDockerfile(t *testing.T) {
	for _, c := range []struct {
		failing string
		line    int
		text    string
	}{
		{"[tools 1/4] FROM docker.io/library/debian:1", 3, "FROM debian:${V} AS Tools"},
		{"[tools 2/4] RUN one", 4, "RUN one"},
		{"[tools  3/4] WORKDIR /src", 6, "WORKDIR /src"},
		{"[linux/arm64 tools 4/4] COPY a b /src/", 7, "COPY a b /src/"},
		{"[stage-1 1/1] COPY --from=tools /a /a", 11, "COPY --from=tools /a /a"},
		{"[last 1/3] RUN two", 13, "RUN <<EOF two EOF"},
		{"[last 3/3] ADD x /x", 17, "ADD x /x"},
		{"[internal] load metadata for docker.io/library/nginx:latest", 16, "COPY --from=nginx /n /n"},
		{"FROM docker.io/library/nginx:latest", 16, "COPY --from=nginx /n /n"},
		{"[last 9/3] RUN x", 0, ""},
		{"[none 1/1] RUN x", 0, ""},
		{"exporting to image", 0, ""},
		{"", 0, ""},
	} {
		if line, text := locate([]byte(stagedDockerfile), nil, c.failing, ""); line != c.line || text != c.text {
			t.Errorf("%s: got %d, %q", c.failing, line, text)
		}
	}
	single := []byte("FROM debian\n\nRUN a\nRUN b\n")
	for failing, want := range map[string]int{"[1/3] FROM debian": 1, "[ 2/3] RUN a": 3, "[linux/amd64 3/3] RUN b": 4} {
		if line, _ := locate(single, nil, failing, ""); line != want {
			t.Errorf("%s: got %d", failing, line)
		}
	}
}

func TestAnImageNamedByAnArgumentOrAReasonIsFound(t *testing.T) {
	const dockerfile = `# a remark is no directive
ARG REGISTRY=example.com
ARG TAG
ARG IMAGE=${REGISTRY}/base
FROM ${IMAGE}:${TAG:-9} AS a
RUN --mount=type=bind,from=${REGISTRY}/tool:1,target=/x make
ADD https://example.com/x /x
COPY --from=7 /a /a
FROM ${NOPE}
`
	for _, c := range []struct {
		failing, reason string
		args            map[string]string
		line            int
	}{
		{failing: "[internal] load metadata for example.com/base:9", line: 5},
		{failing: "[internal] load metadata for mirror/base:12", args: map[string]string{"REGISTRY": "mirror", "TAG": "12"},
			line: 0},
		{failing: "[internal] load metadata for docker.io/mirror/base:12",
			args: map[string]string{"REGISTRY": "mirror", "TAG": "12"}, line: 5},
		{failing: "FROM example.com/tool:1", line: 6},
		{failing: "https://example.com/x", line: 7},
		{failing: "https://example.com/y", line: 0},
		{reason: "failed to create LLB definition: invalid stage index 7", line: 8},
		{reason: "failed to create LLB definition: base name (${NOPE}) should not be blank", line: 9},
		{failing: "resolve image config for docker.io/docker/dockerfile:1", line: 0},
	} {
		if line, text := locate([]byte(dockerfile), c.args, c.failing, c.reason); line != c.line {
			t.Errorf("%s%s: got %d, %q", c.failing, c.reason, line, text)
		}
	}
	for dockerfile, want := range map[string]int{"# syntax=docker/dockerfile:1\nFROM a\n": 1,
		"# escape=`\n#Syntax = docker/dockerfile:1\nFROM a\n": 2} {
		line, text := locate([]byte(dockerfile), nil,
			"resolve image config for docker-image://docker.io/docker/dockerfile:1", "")
		if line != want || !strings.Contains(text, "docker/dockerfile:1") {
			t.Errorf("%q: got %d, %q", dockerfile, line, text)
		}
	}
}

func FuzzNoDockerfileAndNoStepPanics(f *testing.F) {
	f.Add([]byte(stagedDockerfile), "[tools 2/4] RUN one", "dockerfile parse error line 3: x")
	f.Add([]byte("FROM a\nRUN <<X\n"), "[99999999999999999999/0] x", "")
	f.Add([]byte("COPY --from=a\n"), "FROM docker.io/library/a:latest", "")
	f.Fuzz(func(t *testing.T, dockerfile []byte, failing, reason string) {
		line, text := locate(dockerfile, map[string]string{"A": "$A"}, failing, reason)
		if len(text) > maxInstruction+8 || line < 0 {
			t.Fatalf("%d %q", line, text)
		}
	})
}

func TestTheLineThatANewerEngineReportsIsUsed(t *testing.T) {
	err := errdefs.WithSource(errors.New(`process "/bin/sh -c make" did not complete successfully: exit code: 2`),
		&errdefs.Source{
			Info:   &pb.SourceInfo{Filename: "Dockerfile", Data: []byte("FROM a\n\nRUN make \\\n  all\n")},
			Ranges: []*pb.Range{{Start: &pb.Position{Line: 3}, End: &pb.Position{Line: 4}}},
		})
	output := newReporter("web", nil)
	d, now := digest.FromString("x"), time.Now()
	output.status(&bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{{Digest: d, Name: "[2/2] RUN make all",
		Started: &now}}})
	output.status(&bkclient.SolveStatus{Logs: []*bkclient.VertexLog{{Vertex: d, Data: []byte("no rule\nstop")}}})
	output.status(&bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{{Digest: d, Name: "[2/2] RUN make all", Started: &now,
		Completed: &now, Error: "exit code: 2"}}})
	got := failure{request: rhumb.BuildRequest{Service: "web"}, output: output}.explain(t.Context(),
		fmt.Errorf("failed to solve: %w", err))
	if want := "Dockerfile:3: RUN make all: exit code 2\n  | no rule\n  | stop"; got.Error() != want ||
		rhumb.ErrorCode(got) != rhumb.Invalid {
		t.Fatalf("got %v", got)
	}
}

func TestOutputIsSplitIntoLines(t *testing.T) {
	var got []string
	output := newReporter("web", func(p rhumb.BuildProgress) {
		if p.Output != "" {
			got = append(got, p.Output)
		}
	})
	d, now := digest.FromString("x"), time.Now()
	for _, piece := range []string{"a", "b\nc\r\n", "\n\n10%\r20%\rdone\n", "bad \xff\n", strings.Repeat("long", maxLine),
		"\n", "end"} {
		output.status(&bkclient.SolveStatus{Logs: []*bkclient.VertexLog{{Vertex: d, Data: []byte(piece)}}})
	}
	output.status(&bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{{Digest: d, Name: "[1/1] RUN x", Started: &now,
		Completed: &now}}})
	if len(got) != 8 || len(got[6]) != maxLine {
		t.Fatalf("got %d lines: %.200q", len(got), got)
	}
	got[6] = "long"
	if want := []string{"ab", "c", "10%", "20%", "done", "bad \uFFFD", "long", "end"}; !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	output.output(output.vertex(d), []byte(strings.Repeat("x\n", 100)))
	if n := len(output.vertex(d).last); n != keepLines {
		t.Fatalf("%d lines are kept", n)
	}
}
