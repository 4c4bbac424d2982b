package main

import (
	"context"
	"io"
	"maps"
	"slices"

	"rhumb"
)

func (s *stage) SetValue(_ context.Context, name string, content io.Reader) error {
	b, err := io.ReadAll(content)
	s.values[name] = string(b)
	return err
}

func (s *stage) RemoveValue(_ context.Context, name string) error {
	if _, ok := s.values[name]; !ok {
		return rhumb.Errorf(rhumb.NotFound, "there is no value %q", name)
	}
	delete(s.values, name)
	return nil
}

func (s *stage) Values(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(s.values)), nil
}

func (s *stage) Build(_ context.Context, r rhumb.BuildRequest, tar io.Reader,
	progress func(rhumb.BuildProgress)) (rhumb.Image, error) {
	n, err := io.Copy(io.Discard, tar)
	if err != nil {
		return rhumb.Image{}, err
	}
	if (n == 0) != r.Build.Remote() {
		return rhumb.Image{}, rhumb.Errorf(rhumb.Invalid, "the context has %d bytes", n)
	}
	progress(rhumb.BuildProgress{Service: r.Service, Step: "[1/2] FROM base", Cached: true})
	progress(rhumb.BuildProgress{Service: r.Service, Step: "[2/2] RUN make"})
	if r.Build.Inline != "" {
		return rhumb.Image{}, &rhumb.Error{Code: rhumb.Invalid, Msg: "RUN make: exit code 2", At: "dockerfile_inline:2"}
	}
	if r.Service == "broken" {
		return rhumb.Image{}, rhumb.Errorf(rhumb.Invalid,
			"service broken: Dockerfile:2: make: exit code 1\nno rule to make target").
			WithHint("look at the lines above")
	}
	progress(rhumb.BuildProgress{Service: r.Service, Step: "[2/2] RUN make", Output: "ok", Done: true})
	return rhumb.Image{Ref: r.Name, ID: "sha256:1"}, nil
}
