package act

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestFilesOfRoutesAreStoredOnceAndBeforeTheyCouldBePruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stored []string
		var failure error
		f := routeFiles{store: func(_ context.Context, hash string, content []byte) error {
			if failure == nil {
				stored = append(stored, hash+" "+string(content))
			}
			return failure
		}}
		model := func(hash string) *rhumb.Stack {
			page := rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "a.html", Hash: hash}
			return &rhumb.Stack{
				Services: []rhumb.Service{{Name: "web", HTTP: &rhumb.RouteOptions{Maintenance: &page}}, {Name: "db"}},
				Files: []rhumb.File{{Kind: rhumb.FileRoute, Name: "a.html", Hash: hash, Content: []byte("page")},
					{Kind: rhumb.FileSecret, Name: "password", Hash: "0f", Content: []byte("secret")}}}
		}
		var none rhumb.Table
		serving := rhumb.Table{Options: []rhumb.TableOptions{rhumb.OptionsOf(model("0a").Services[0].HTTP)}}
		for i, c := range []struct {
			after  time.Duration
			model  *rhumb.Stack
			served rhumb.Table
			want   []string
		}{
			{0, nil, none, nil},
			{0, model("0a"), none, []string{"0a page"}},
			{keepTime / 2, model("0a"), none, nil},
			{keepTime, model("0a"), none, []string{"0a page"}},
			{10 * keepTime, model("0a"), serving, nil},
			{0, model("0b"), serving, []string{"0b page"}},
			{0, model("0a"), serving, []string{"0a page"}}, // it may have been pruned meanwhile
		} {
			time.Sleep(c.after)
			stored = nil
			if err := f.keep(t.Context(), c.model, c.served); err != nil || !slices.Equal(stored, c.want) {
				t.Errorf("step %d: %q, %v; want %q", i+1, stored, err, c.want)
			}
		}
		failure = context.Canceled
		if err := f.keep(t.Context(), model("0c"), none); err == nil {
			t.Error("a full disk is no error")
		}
		failure, stored = nil, nil
		if err := f.keep(t.Context(), model("0c"), none); err != nil || len(stored) != 1 {
			t.Errorf("after a failure: %q, %v", stored, err)
		}
	})
}
