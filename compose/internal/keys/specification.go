package keys

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/schema"

	"rhumb/compose/internal/place"
)

// Extension is the key of rhumb's extensions of a service and of a stack, at the top level.
const Extension = "x-rhumb"

// The fields of the extensions.
var (
	ExtensionFields = []string{"routes", "strategy", "ready", "drain", "hold", "hooks", "after", "tls", "access_log",
		"metrics", "alerts", "proxy_protocol", "limits", "bans", "http", "sticky"}
	StackFields = []string{"logs", "alerts"}
)

// Kind is a set of kinds of YAML values.
type Kind uint8

// The kinds of values. Int and Float are both numbers. A Date is an unquoted 2020-01-01.
const (
	Null Kind = 1 << iota
	Bool
	Int
	Float
	Date
	Text
	List
	Mapping
)

// Field is a place in the specification, with its possible keys and values. A nil field accepts everything.
type Field struct {
	keys     map[string]*Field // "*" is any name, "[]" are the items of a list
	Kinds    Kind              // 0: any kind
	Words    []string          // the only texts; nil: any
	Pattern  *regexp.Regexp    // which a text must match; nil: any
	Min, Max *float64          // of a number; nil: no bound
	Required []string          // keys that a mapping must have
	name     *regexp.Regexp    // which names at "*" must match; nil: any
}

// definition is the part of JSON Schema that the Compose specification uses.
type definition struct {
	Ref                  string                 `json:"$ref"`
	Defs                 map[string]*definition `json:"$defs"`
	Type                 words                  `json:"type"`
	Properties           map[string]*definition `json:"properties"`
	PatternProperties    map[string]*definition `json:"patternProperties"`
	AdditionalProperties *bool                  `json:"additionalProperties"`
	Items                *definition            `json:"items"`
	OneOf, AllOf         []*definition
	Enum                 []string `json:"enum"`
	Pattern              string   `json:"pattern"`
	Minimum, Maximum     *float64
	Required             []string `json:"required"`
}

// words is a string or a list of strings.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

var kindNames = map[string]Kind{"null": Null, "boolean": Bool, "integer": Int, "number": Int | Float, "string": Text,
	"array": List, "object": Mapping}

// Specification returns the root of everything in the Compose specification's schema.
var Specification = sync.OnceValue(func() *Field {
	var top definition
	if err := json.Unmarshal([]byte(schema.Schema), &top); err != nil {
		panic(err) // the schema is part of the program
	}
	root := &Field{}
	root.add(&top, top.Defs)
	root.correct()
	return root
})

// add adds a definition to the field. Alternatives are merged: each is a different kind of value.
func (f *Field) add(d *definition, defs map[string]*definition) {
	if d.Ref != "" {
		f.add(defs[strings.TrimPrefix(d.Ref, "#/$defs/")], defs)
	}
	for _, list := range [][]*definition{d.OneOf, d.AllOf} {
		for _, part := range list {
			f.add(part, defs)
		}
	}
	for _, t := range d.Type {
		f.Kinds |= kindNames[t]
	}
	f.Words = append(f.Words, d.Enum...)
	f.Required = append(f.Required, d.Required...)
	if d.Pattern != "" {
		f.Pattern = regexp.MustCompile(d.Pattern)
	}
	if d.Minimum != nil {
		f.Min, f.Max = d.Minimum, d.Maximum
	}
	for name, part := range d.Properties {
		f.below(name).add(part, defs)
	}
	for pattern, part := range d.PatternProperties {
		if pattern == "^x-" {
			continue
		}
		f.below("*").add(part, defs)
		if d.AdditionalProperties != nil && !*d.AdditionalProperties {
			f.name = regexp.MustCompile(pattern)
		}
	}
	if d.Items != nil {
		f.below("[]").add(d.Items, defs)
	}
}

func (f *Field) below(name string) *Field {
	if f.keys == nil {
		f.keys = map[string]*Field{}
	}
	if f.keys[name] == nil {
		f.keys[name] = &Field{}
	}
	return f.keys[name]
}

// correct removes what the schema allows but the library can't handle, and adds what only the library accepts.
func (f *Field) correct() {
	include := f.Child("include")
	for _, empty := range []*Field{include, include.Item().Child("env_file"), include.Item().Child("project_directory")} {
		empty.Kinds |= Null
	}
	service := f.Child("services").Child("*")
	service.Child("build").Child("additional_contexts").Child("*").Kinds = Text
	service.Child("ports").Item().Required = []string{"target"}
	for _, s := range []*Field{service, service.Child("pre_start").Child("[]")} {
		s.Child("pid").Kinds &^= Null
		s.Child("storage_opt").below("*").Kinds = Text | Int
		blkio := s.Child("blkio_config")
		blkio.Child("weight").Kinds = Int
		blkio.Child("weight_device").Item().Child("weight").Kinds = Int
		s.Child("volumes").Item().Required = []string{"type", "target"}
	}
}

// Service returns the field of a service.
func Service() *Field { return Specification().Child("services").Child("*") }

// Child returns the field of a known name.
func (f *Field) Child(name string) *Field { return f.keys[name] }

// Key returns the field of a key, and whether the key is allowed.
func (f *Field) Key(name string) (*Field, bool) {
	if f == nil || len(f.keys) == 0 {
		return nil, true
	}
	if next, ok := f.keys[name]; ok && name != "*" && name != "[]" {
		return next, true
	}
	if next, ok := f.keys["*"]; ok {
		return next, true
	}
	if strings.HasPrefix(name, "x-") {
		return nil, true
	}
	return nil, len(f.names()) == 0
}

// Named reports whether the user may choose names here.
func (f *Field) Named() bool { return f != nil && f.keys["*"] != nil }

// Names reports whether the user may choose this name here.
func (f *Field) Names(name string) bool { return f == nil || f.name == nil || f.name.MatchString(name) }

// Item returns the field of a list's items.
func (f *Field) Item() *Field {
	if f == nil {
		return nil
	}
	return f.keys["[]"]
}

func (f *Field) names() []string {
	var names []string
	for k := range f.keys {
		if k != "*" && k != "[]" {
			names = append(names, k)
		}
	}
	return names
}

// formerly are keys of older files and of other tools, and their names in the specification.
var formerly = map[string]string{"net": "network_mode", "depends": "depends_on", "environments": "environment",
	"env":  "environment",
	"envs": "environment", "port": "ports", "volume": "volumes", "cmd": "command", "dockerfile": "build.dockerfile",
	"log_driver": "logging.driver",
	"log_opt":    "logging.options", "cpu": "cpus", "memory": "mem_limit", "user_ns": "userns_mode",
	"workdir": "working_dir"}

// Hint returns a hint for an unknown key: a similar key, or the place in a service where the key belongs.
func (f *Field) Hint(key string) string {
	if now, ok := formerly[key]; ok && f == Service() {
		return "did you mean " + now + "?"
	}
	if f == Specification() && slices.Contains(StackFields, key) {
		return "did you mean " + Extension + "." + key + "?"
	}
	if c := place.Closest(key, f.names()); c != "" {
		return "did you mean " + c + "?"
	}
	switch {
	case f == Specification() && slices.Contains(Service().names(), key):
		return "it belongs to a service, below services:"
	case f != Service():
		return place.DidYouMean(key, f.names())
	}
	for _, parent := range []string{"deploy", "build", "healthcheck"} {
		if _, ok := f.keys[parent].keys[key]; ok {
			return "did you mean " + parent + "." + key + "?"
		}
	}
	if slices.Contains(ExtensionFields, key) {
		return "did you mean " + Extension + "." + key + "?"
	}
	if slices.Contains(slices.Collect(maps.Keys(Specification().keys)), key) {
		return "it is a top-level key: look at the indentation"
	}
	return ""
}
