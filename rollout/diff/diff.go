// Package diff names what differs between two releases, in words that a person reads.
package diff

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"rhumb"
)

// Stacks returns what differs from a to b: the stack itself first, then service by service. Either may be nil, which is
// an empty stack. Variables are named, and their values never appear.
func Stacks(a, b *rhumb.Stack) []rhumb.Difference {
	ofStack := append(logDiff(a, b), alertDiff(a, b)...)
	if a == nil {
		a = &rhumb.Stack{}
	}
	if b == nil {
		b = &rhumb.Stack{}
	}
	var ds []rhumb.Difference
	if what := append(holdings(a, b), ofStack...); len(what) > 0 {
		ds = append(ds, rhumb.Difference{Verb: "changed", What: what})
	}
	for i := range b.Services {
		now := b.Services[i].Applied()
		was := a.Service(now.Name).Applied()
		if was == nil {
			ds = append(ds, rhumb.Difference{Service: now.Name, Verb: "added", Order: now.Order, Why: now.OrderWhy})
		} else if what := serviceDiff(was, now, a, b); len(what) > 0 {
			d := rhumb.Difference{Service: now.Name, Verb: "changed", What: what, Order: now.Order, Why: now.OrderWhy}
			if was.Order == rhumb.StopFirst && now.Order != rhumb.StopFirst {
				d.Order, d.Why = rhumb.StopFirst, "before this change: "+was.OrderWhy
			}
			ds = append(ds, d)
		}
	}
	for i := range a.Services {
		if was := a.Services[i].Applied(); b.Service(was.Name) == nil {
			ds = append(ds, rhumb.Difference{Service: was.Name, Verb: "removed", Order: was.Order, Why: was.OrderWhy})
		}
	}
	slices.SortStableFunc(ds, func(x, y rhumb.Difference) int { return strings.Compare(x.Service, y.Service) })
	return ds
}

// RestartAsked is the word for a restart that a person asked for. It is the only difference that doesn't "change".
const RestartAsked = "restart asked for"

// fieldWords are the names of fields that fieldWord can't derive from the field's own.
var fieldWords = map[string]string{
	"ImageID": "image", "DNSSearch": "dns_search", "DNSOpts": "dns_opt",
	"StopGrace": "stop_grace_period", "Health": "healthcheck", "HostPorts": "ports",
	"RestartedAt": RestartAsked, "Update": "update_config", "Rollback": "rollback_config",
}

// notNamed are fields of a service that say nothing about what runs, or that appear in another way.
var notNamed = map[string]bool{
	"Name": true, "Container": true, "Build": true, "Pull": true, "OrderWhy": true, "Strategy": true,
}

// serviceDiff names what differs between two stacks' definitions of one service.
func serviceDiff(a, b *rhumb.Service, in, of *rhumb.Stack) []string {
	what := Replicas(a, b, in, of)
	eachField(a, b, func(name string, x, y any) {
		switch {
		case notNamed[name]:
		case name == "Replicas" || name == "Order":
			what = append(what, fmt.Sprintf("%s %v -> %v", strings.ToLower(name), x, y))
		default:
			what = append(what, fieldWord(name))
		}
	})
	return dedupe(what)
}

// Replicas returns what differs between the replicas of two definitions of one service, a of the stack in and b of the
// stack of.
func Replicas(a, b *rhumb.Service, in, of *rhumb.Stack) []string {
	what := containerDiff(&a.Container, &b.Container, in, of)
	return slices.DeleteFunc(what, func(w string) bool { return namedElsewhere(a.Name, w) })
}

// namedElsewhere reports whether a hook differs only because its service does, or a service because its hooks do.
func namedElsewhere(service, what string) bool {
	of, isDependency := strings.CutPrefix(what, "dependency ")
	if !isDependency {
		return false
	}
	if hooked, _, ok := rhumb.HookOf(service); ok {
		return of == hooked
	}
	return of == service+"."+string(rhumb.HookPreStart)
}

// containerDiff names what differs between two containers.
func containerDiff(a, b *rhumb.Container, in, of *rhumb.Stack) []string {
	var what []string
	eachField(a, b, func(name string, x, y any) {
		switch name {
		case "Image": // another name for the same image is no change
			if a.ImageID == "" || b.ImageID == "" {
				what = append(what, "image")
			}
		case "Env":
			what = append(what, diffKeys("environment", a.Env, b.Env)...)
		case "Labels":
			what = append(what, diffKeys("label", a.Labels, b.Labels)...)
		case "Annotations":
			what = append(what, diffKeys("annotation", a.Annotations, b.Annotations)...)
		case "Sysctls":
			what = append(what, diffKeys("sysctl", a.Sysctls, b.Sysctls)...)
		case "RestartOn":
			what = append(what, diffKeys("dependency", a.RestartOn, b.RestartOn)...)
		case "Mounts":
			what = append(what, diffMounts(a.Mounts, b.Mounts)...)
		case "Networks":
			key := func(j join) string { return j.key }
			what = append(what, diffNames("network", joined(a, in), joined(b, of), key)...)
		default:
			what = append(what, fieldWord(name))
		}
	})
	return dedupe(what)
}

// eachField calls f for each field that differs between two structs. Empty and nil maps are alike, and so are lists.
func eachField[T any](a, b *T, f func(name string, x, y any)) {
	va, vb := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range va.NumField() {
		x, y := va.Field(i), vb.Field(i)
		switch x.Kind() { // faster than DeepEqual, and this runs at every turn
		case reflect.String:
			if x.String() == y.String() {
				continue
			}
		case reflect.Bool:
			if x.Bool() == y.Bool() {
				continue
			}
		case reflect.Map:
			if x.Len() == 0 && y.Len() == 0 {
				continue
			}
		case reflect.Slice, reflect.Pointer:
			if x.IsNil() && y.IsNil() {
				continue
			}
		}
		if !reflect.DeepEqual(x.Interface(), y.Interface()) {
			f(va.Type().Field(i).Name, x.Interface(), y.Interface())
		}
	}
}

// fieldWord returns a field's name as Compose spells it: "WorkingDir" is "working_dir", "TLS" is "tls".
func fieldWord(name string) string {
	if w, ok := fieldWords[name]; ok {
		return w
	}
	var b strings.Builder
	small := false
	for _, r := range name {
		if r <= 'Z' && small {
			b.WriteByte('_')
		}
		small = r > 'Z'
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// diffKeys names the keys whose values differ, sorted.
func diffKeys(noun string, a, b map[string]string) []string {
	var what []string
	for k, v := range b {
		if old, ok := a[k]; !ok || old != v {
			what = append(what, noun+" "+k)
		}
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			what = append(what, noun+" "+k)
		}
	}
	slices.Sort(what)
	return what
}

// diffNames names the elements of two lists that differ.
func diffNames[T any](noun string, a, b []T, name func(T) string) []string {
	var what []string
	find := func(list []T, n string) (T, bool) {
		for _, x := range list {
			if name(x) == n {
				return x, true
			}
		}
		var none T
		return none, false
	}
	for _, x := range b {
		if old, ok := find(a, name(x)); !ok || !reflect.DeepEqual(old, x) {
			what = append(what, noun+" "+name(x))
		}
	}
	for _, x := range a {
		if _, ok := find(b, name(x)); !ok {
			what = append(what, noun+" "+name(x))
		}
	}
	slices.Sort(what)
	if len(what) == 0 {
		what = []string{noun + " order"}
	}
	return what
}

// diffMounts names the mounts that differ: files by their kind and name, all others by their target.
func diffMounts(a, b []rhumb.Mount) []string {
	noun := map[rhumb.FileKind]string{
		rhumb.FileConfig: "config ", rhumb.FileSecret: "secret ", rhumb.FileProject: "project file ",
	}
	what := diffNames("mount", a, b, func(m rhumb.Mount) string {
		if m.Type == rhumb.MountFile {
			return noun[m.Kind] + m.Source
		}
		return m.Target
	})
	for i, w := range what {
		for _, n := range noun {
			if rest, ok := strings.CutPrefix(w, "mount "+n); ok {
				what[i] = n + rest
			}
		}
	}
	return what
}

// dedupe drops repeated names, and keeps the order.
func dedupe(what []string) []string {
	var out []string
	for _, w := range what {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}
