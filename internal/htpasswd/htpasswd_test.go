package htpasswd

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// line returns the line of a user, with a hash that is quick to check.
func line(t testing.TB, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + string(hash)
}

func TestAUserHasOnePassword(t *testing.T) {
	text := strings.Join([]string{"# the team", "", line(t, "ann", "apple"), "  " + line(t, "bob", "pear") + "\r"}, "\n")
	u, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		want           bool
	}{
		{"ann", "apple", true}, {"bob", "pear", true}, {"ann", "pear", false}, {"bob", "", false},
		{"eve", "apple", false}, {"", "", false}, {"Ann", "apple", false}, {"ann", "apple ", false},
	} {
		if got := u.Check(c.name, c.password); got != c.want {
			t.Errorf("%s with %q: %t", c.name, c.password, got)
		}
	}
}

func TestAnUnknownNameNeverHasAPassword(t *testing.T) {
	u, err := Parse([]byte(line(t, "ann", "apple"))) // each unknown name is checked with ann's hash
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eve", "", "ann\x00", "Ann"} {
		if u.Check(name, "apple") {
			t.Errorf("%q comes in with the password of ann", name)
		}
	}
}

func TestHashesOfOtherToolsAreRead(t *testing.T) {
	hash := strings.TrimPrefix(line(t, "a", "apple"), "a:$2a$")
	for _, kind := range []string{"$2a$", "$2b$", "$2y$"} {
		u, err := Parse([]byte("ann:" + kind + hash))
		if err != nil || !u.Check("ann", "apple") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestMistakesInAFileOfUsersNameTheirLine(t *testing.T) {
	good := line(t, "ann", "apple")
	expensive := strings.Replace(good, "$04$", "$15$", 1)
	for text, want := range map[string]string{
		"":                                     "no users",
		"# none\n":                             "no users",
		good + "\nbob":                         "line 2: there is no colon",
		good + "\n" + good:                     "line 2: the name is there twice",
		":" + strings.TrimPrefix(good, "ann:"): "line 1: the name",
		"a\x01b" + good:                        "line 1: the name",
		"bob:secret":                           "line 1: the hash isn't one of bcrypt",
		"bob:$apr1$abcdefgh$0123456789012345":  "line 1: the hash isn't one of bcrypt",
		good + "x":                             "line 1: the hash isn't one of bcrypt",
		expensive:                              "line 1: the hash has the cost 15",
		strings.Repeat("#\n", MaxBytes):        "larger than",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells what is in the file: %v", err)
		}
	}
}

func FuzzUsers(f *testing.F) {
	f.Add([]byte("ann:$2a$04$abcdefghijklmnopqrstuuJ7tO1nW8VbSYnBpNqQkX0mVfqrXWvPi"))
	f.Add([]byte("#\n\n:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := Parse(b)
		if err != nil {
			return
		}
		if len(u.all) == 0 || len(u.all) != len(u.hashes) {
			t.Fatalf("%d hashes of %d users", len(u.all), len(u.hashes))
		}
		for name := range u.hashes {
			if name == "" || strings.ContainsAny(name, ":\r\n\x00") {
				t.Fatalf("the name %q", name)
			}
		}
	})
}
