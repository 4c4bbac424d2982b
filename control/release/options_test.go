package release

import (
	"strings"
	"testing"

	"rhumb"
)

// users is a line that has the form of one with a hash of bcrypt.
const users = "ann:$2a$04$abcdefghijklmnopqrstuuJ7tO1nW8VbSYnBpNqQkX0mVfqrXWvPi"

// guarded returns a stack with a route that asks for the users of an external secret, and has a page.
func guarded() rhumb.Stack {
	o := &rhumb.RouteOptions{
		Auth:  &rhumb.BasicAuth{Realm: "r", Users: rhumb.RouteFile{Kind: rhumb.FileSecret, Name: "users"}},
		Pages: []rhumb.ErrorPage{{Status: 5, File: rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "a.html"}}},
	}
	return rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web", HTTP: o}}, Files: []rhumb.File{
		{Kind: rhumb.FileRoute, Name: "a.html", Content: []byte("page"), Hash: plain("page")},
		{Kind: rhumb.FileSecret, Name: "users", External: "users"},
	}}
}

func fill(t *testing.T, m *rhumb.Stack, values map[string]string) (*draft, error) {
	t.Helper()
	k := Maker{Store: &memory{values: values}, Key: []byte("key")}
	d := &draft{Maker: &k, model: m}
	return d, d.fillFiles(t.Context())
}

func TestOptionsOfRoutesCarryTheHashesOfTheirFiles(t *testing.T) {
	given := guarded()
	m := copyModel(given)
	if _, err := fill(t, &m, map[string]string{"users": users}); err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Services[0].HTTP.Files() {
		if file := m.File(f.Kind, f.Name); f.Hash == "" || f.Hash != file.Hash || f.Hash == plain(string(file.Content)) {
			t.Errorf("%s has the hash %q", f.Name, f.Hash)
		}
	}
	if given.Services[0].HTTP.Pages[0].File.Hash != "" {
		t.Error("the request's model is changed")
	}
}

func TestUsersThatCannotBeReadMakeNoRelease(t *testing.T) {
	m := guarded()
	_, err := fill(t, &m, map[string]string{"users": "ann:secret"})
	if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), "line 1") ||
		strings.Contains(err.Error(), "ann") || rhumb.ErrorHint(err) == "" {
		t.Errorf("%v", err)
	}
	m = guarded()
	if d, err := fill(t, &m, nil); err != nil || len(d.missing) != 1 {
		t.Errorf("a missing value is reported with all others: %v", err)
	}
	m = guarded()
	m.Files = m.Files[1:]
	if _, err := fill(t, &m, map[string]string{"users": users}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("a page that isn't there: %v", err)
	}
}
