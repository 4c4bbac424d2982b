package extension

import (
	"regexp"
	"slices"
	"strings"

	"rhumb"
)

func (r reader) routes(v any) (routes []rhumb.Route, options []*Options) {
	list, ok := v.([]any)
	if !ok {
		r.wrong("write it as [shop.example.com, {host: …, path: …, port: …}]", "it must be a list")
		return nil, nil
	}
	for i, item := range list {
		route, own := routeReader{r.item(i)}.route(item)
		routes, options = append(routes, route), append(options, own)
	}
	return routes, options
}

// routeReader reads a route, or a part of one.
type routeReader struct{ reader }

func (r routeReader) below(name string) routeReader { return routeReader{r.reader.below(name)} }

func (r routeReader) route(v any) (rhumb.Route, *Options) {
	out := rhumb.Route{}
	if s, ok := v.(string); ok {
		host, path, slash := strings.Cut(s, "/")
		out.Host = r.host(host)
		if slash {
			out.Path = r.path("/" + path)
		}
		return out, nil
	}
	fields := r.fields(v, slices.Concat([]string{"host", "path", "port"}, OptionFields)...)
	if v, ok := fields["host"]; ok {
		out.Host = r.below("host").host(r.below("host").text(v))
	}
	if v, ok := fields["path"]; ok {
		out.Path = r.below("path").path(r.below("path").text(v))
	}
	if v, ok := fields["port"]; ok {
		out.Port = r.below("port").port(v)
	}
	return out, optionReader(r).options(fields)
}

var hostName = regexp.MustCompile(`^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

func (r routeReader) host(s string) string {
	s = strings.TrimSuffix(strings.ToLower(s), ".")
	switch {
	case s == "" || s == "*":
		return ""
	case strings.Contains(s, ":"):
		r.wrong("write {host: …, path: …, port: …}; the port is the container's",
			"%q has a colon: a route is a host name and a path", s)
	case !hostName.MatchString(s) || len(s) > 253:
		r.wrong("write it as shop.example.com, or *.example.com for one more label", "%q is not a host name", s)
	}
	return s
}

func (r routeReader) path(s string) string {
	if !strings.HasPrefix(s, "/") || strings.ContainsAny(s, " ?#*\r\n\\") || strings.Contains(s, "//") {
		r.wrong("write it as /v1: it begins with a slash and is a plain prefix", "%q is not a path", s)
		return ""
	}
	return strings.TrimRight(s, "/")
}
