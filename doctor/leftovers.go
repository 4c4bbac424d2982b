package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

func leftoversCheck(f Facts) []Finding {
	l := f.Leftovers
	switch {
	case l.Err != nil:
		return []Finding{{"leftovers", Warning, "not checked: " + l.Err.Error(),
			"run doctor again once the engine answers"}}
	case l.StacksErr != nil:
		return []Finding{{"leftovers", Warning, "not checked: the server doesn't report its stacks",
			"run doctor again once it answers"}}
	}
	var found []Finding
	add := func(kind, kinds string, all []Owned, hint string) {
		names := orphans(all, l.Stacks)
		if len(names) == 0 {
			return
		}
		if l.Strangers {
			hint = "they may belong to another server on this engine, which doesn't report its stacks; otherwise, " + hint
		}
		found = append(found,
			Finding{"leftovers", Warning, counted(len(names), kind, kinds) + " of stacks that no server here knows: " +
				few(names), hint})
	}
	add("container", "containers", l.Containers, "if they aren't needed: docker rm -f NAME")
	add("network", "networks", l.Networks, "if they aren't needed: docker network rm NAME")
	add("volume", "volumes", l.Volumes, "they contain data; if it isn't needed: docker volume rm NAME")
	if len(found) == 0 {
		found = []Finding{{"leftovers", OK, "none", ""}}
	}
	if l.Dangling > 0 {
		found = append(found,
			Finding{"leftovers", OK,
				fmt.Sprintf("%s without a name, %s at most", counted(l.Dangling, "image", "images"),
					gigabytes(uint64(max(l.DanglingBytes, 0)))),
				"docker image prune removes those without a container"})
	}
	return found
}

// orphans returns the names of objects whose stacks are unknown.
func orphans(all []Owned, known []string) []string {
	var names []string
	for _, o := range all {
		if !slices.Contains(known, o.Stack) {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	return names
}

// few returns the first names, and the number of the others.
func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func joined(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return few(words)
}

func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

func gigabytes(n uint64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
