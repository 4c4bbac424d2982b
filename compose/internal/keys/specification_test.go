package keys

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"

	"rhumb"
)

func TestEveryKeyOfTheSpecificationIsInTheTable(t *testing.T) {
	for _, path := range schema.AttributePaths() {
		if strings.HasSuffix(string(path), "*") {
			continue // a name of the user's
		}
		if !sorted(path.Parts()) {
			t.Errorf("%s is not in the table", path)
		}
	}
}

// sorted reports whether the table has the key, or a key above it that is ignored or refused as a whole.
func sorted(parts []string) bool {
	at := root()
	for _, p := range parts {
		next := at.below[p]
		if next == nil {
			return false
		}
		at = next
		if at.any != nil && (at.any.Fate == rhumb.Refused || at.any.Fate == rhumb.Ignored) {
			return true
		}
	}
	return at.any != nil
}

func TestTheTableHasOnlyKeysOfTheSpecification(t *testing.T) {
	known := map[string]bool{}
	for _, path := range schema.AttributePaths() {
		known[strings.ReplaceAll(string(path), ".[]", "[]")] = true
	}
	seen := map[string]bool{}
	for _, k := range Table() {
		if !known[k.Path] {
			t.Errorf("%s is in the table and not in the specification", k.Path)
		}
		id := k.Path + "=" + k.Value
		if seen[id] {
			t.Errorf("%s is in the table twice", id)
		}
		seen[id] = true
		if (k.Fate == rhumb.Honoured) != (k.Why == "") {
			t.Errorf("%s is %s; its reason is %q", id, k.Fate, k.Why)
		}
	}
}

// The inspector expects that every mapping with named keys is closed. This test checks it.
func TestMappingsOfTheSpecificationAreClosed(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(schema.Schema), &doc); err != nil {
		t.Fatal(err)
	}
	// These are combined with other definitions, which are closed.
	parts := map[string]bool{"container_spec": true, "workload_spec": true, "service": true, "job": true,
		"pre_start_hook": true}
	// These are open by an oversight; an unread key is a mistake there too.
	oversights := map[string]bool{"/$defs/secret/properties/external": true, "/$defs/config/properties/external": true,
		"/$defs/gpus/oneOf//items": true}
	var visit func(path string, v any)
	visit = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			props, _ := v["properties"].(map[string]any)
			name := path[strings.LastIndexByte(path, '/')+1:]
			if open, said := v["additionalProperties"].(bool); len(props) > 0 && (!said || open) && !parts[name] &&
				!oversights[path] {
				t.Errorf("%s is open", path)
			}
			for k, e := range v {
				visit(path+"/"+k, e)
			}
		case []any:
			for _, e := range v {
				visit(path+"/", e)
			}
		}
	}
	visit("", doc)
}

func TestTheWholeSpecificationIsRead(t *testing.T) {
	for _, path := range schema.AttributePaths() {
		at := Specification()
		for _, part := range path.Parts() {
			if at = at.keys[part]; at == nil {
				t.Fatalf("%s is missing", path)
			}
		}
		if at.Kinds == 0 && len(at.keys) == 0 {
			t.Errorf("%s takes any value", path)
		}
	}
	if k := Service().Child("environment").Kinds; k != List|Mapping {
		t.Errorf("environment takes %b", k)
	}
	condition := Service().Child("depends_on").Child("*").Child("condition")
	if len(condition.Words) != 3 ||
		!slices.Equal(Service().Child("depends_on").Child("*").Required, []string{"condition"}) {
		t.Errorf("depends_on takes %v", condition.Words)
	}
	for name, ok := range map[string]bool{"web-1.a_B": true, "my web": false, "": false, "dé": false} {
		if Specification().Child("services").Names(name) != ok {
			t.Errorf("%q as a service's name: %v", name, !ok)
		}
	}
}
