package extension

import (
	"fmt"
	"maps"
	"slices"

	"rhumb"
	"rhumb/internal/routeoption"
)

// changes reads the changes of a header. field says which fields can't be changed.
func (r optionReader) changes(v any, field func(string) error) (h rhumb.HeaderChanges) {
	fields := r.fields(v, "set", "add", "remove")
	if v, ok := fields["set"]; ok {
		h.Set = r.at("set").headerFields(v, field)
	}
	if v, ok := fields["add"]; ok {
		h.Add = r.at("add").headerFields(v, field)
	}
	if v, ok := fields["remove"]; ok {
		h.Remove = r.at("remove").headerNames(v, field)
	}
	if n := len(h.Set) + len(h.Add) + len(h.Remove); n > routeoption.MaxFields {
		r.wrong("have the application set the others", "%d changes are too many: at most %d are possible", n,
			routeoption.MaxFields)
	}
	return h
}

// headerFields reads a mapping of names to values.
func (r optionReader) headerFields(v any, field func(string) error) (list []rhumb.HeaderField) {
	m, ok := v.(map[string]any)
	if !ok {
		r.wrong("write it as {X-Frame-Options: DENY}", "it must be a mapping of names to values")
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		at := r.below(name)
		value, ok := headerValue(m[name])
		switch err := field(name); {
		case err != nil:
			at.wrong("leave it out", "%s", err)
		case !ok:
			at.wrong("write each field as NAME: VALUE", "%v is not a text", shown(m[name]))
		default:
			if err := routeoption.Value(value); err != nil {
				at.wrong("write a text on one line", "%s", err)
			}
			list = append(list, rhumb.HeaderField{Name: name, Value: value})
		}
	}
	return list
}

func headerValue(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool, int, float64:
		return fmt.Sprint(v), true
	}
	return "", false
}

// headerNames reads a list of names.
func (r optionReader) headerNames(v any, field func(string) error) (names []string) {
	list, ok := v.([]any)
	if !ok {
		r.wrong("write it as [Server, X-Powered-By]", "it must be a list of names")
		return nil
	}
	for i, item := range list {
		name, _ := item.(string)
		if err := field(name); err != nil {
			r.item(i).wrong("leave it out", "%s", err)
			continue
		}
		names = append(names, name)
	}
	return names
}
