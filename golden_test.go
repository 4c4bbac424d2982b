package rhumb_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"rhumb"
)

// testdata/stack.json has a value for every field of a Stack. It is only ever added to: renaming or removing a field
// makes stored releases unreadable, and changing its form changes hashes. Adding a new field to it changes the two
// hashes of "every field" below, and no other.
func TestNoFieldOfAStackIsRenamed(t *testing.T) {
	text, err := os.ReadFile("testdata/stack.json")
	if err != nil {
		t.Fatal(err)
	}
	var s rhumb.Stack
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	eachField(t, "Stack", reflect.ValueOf(&s).Elem(), func(string, reflect.Value) {}) // each has a value
	if !bytes.Equal(append(again, '\n'), text) {
		t.Errorf("it comes back as %s", again)
	}
}

func TestSpecHashesStayAsTheyWereReleased(t *testing.T) {
	text, err := os.ReadFile("testdata/stack.json")
	if err != nil {
		t.Fatal(err)
	}
	var s rhumb.Stack
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	full := s.Services[0].Container
	unresolved := full
	unresolved.ImageID = ""
	yes := true
	for _, c := range []struct {
		name string
		of   rhumb.Container
		want string
	}{
		{"empty", rhumb.Container{}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		{"every field", full, "5d32cc7c1198cc72d11b93882951014ec2ce8004e35a97f848aa526e3e41532f"},
		{"without an image ID", unresolved, "63cebf304ab1831e569a46b2201ca8b61c9e4eae3eab190168e6af475a5b75ec"},
		{"usual", rhumb.Container{
			Image: "web:1", ImageID: "sha256:1", Entrypoint: []string{}, Init: &yes,
			Env:    map[string]string{"B": "2", "A": "1"},
			Mounts: []rhumb.Mount{{Type: rhumb.MountVolume, Source: "shop_db", Target: "/data"}},
		}, "5ef0a5b09545116da2865cb69e6df4a572a272bf10db67e8fcab1450f8c42c52"},
	} {
		if got := c.of.Hash(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
