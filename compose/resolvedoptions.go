package compose

import (
	"maps"
	"path/filepath"
	"slices"
)

// absoluteOptions makes the paths of files absolute that the options of routes name.
func absoluteOptions(extension any, dir string) any {
	own, ok := extension.(map[string]any)
	if !ok {
		return extension
	}
	own = maps.Clone(own)
	if of, ok := own["http"].(map[string]any); ok {
		own["http"] = absoluteFiles(of, dir)
	}
	if routes, ok := own["routes"].([]any); ok {
		routes = slices.Clone(routes)
		for i := range routes {
			if of, ok := routes[i].(map[string]any); ok {
				routes[i] = absoluteFiles(of, dir)
			}
		}
		own["routes"] = routes
	}
	return own
}

// absoluteFiles makes the paths in the options of one route absolute.
func absoluteFiles(of map[string]any, dir string) map[string]any {
	of = maps.Clone(of)
	absolute := func(in map[string]any, key string) {
		if file, ok := in[key].(string); ok && file != "" && file != "off" && file != "false" && !filepath.IsAbs(file) {
			in[key] = filepath.Join(dir, file)
		}
	}
	absolute(of, "maintenance")
	if auth, ok := of["auth"].(map[string]any); ok {
		auth = maps.Clone(auth)
		absolute(auth, "file")
		of["auth"] = auth
	}
	if pages, ok := of["pages"].(map[string]any); ok {
		pages = maps.Clone(pages)
		for name := range pages {
			if name != "replace" {
				absolute(pages, name)
			}
		}
		of["pages"] = pages
	}
	return of
}
