package extension

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/internal/routeoption"
)

// OptionFields are the fields of x-rhumb.http, which a route may have too.
var OptionFields = []string{"redirect", "canonical", "maintenance", "auth", "strip", "headers", "pages", "compress",
	"buffer", "timeouts", "waf"}

// Options are the options of a route, or of all routes and ports of a service. Files are named by their paths as they
// are written, and read later.
type Options struct {
	rhumb.RouteOptions
	Set map[string]bool // the fields that are there, also those that turn something off
}

// Over returns the options of a route: its own, and for the fields that it doesn't have those of its service. It
// returns nil if nothing is asked for.
func (o *Options) Over(of *Options) *rhumb.RouteOptions {
	var out rhumb.RouteOptions
	for _, name := range OptionFields {
		switch {
		case o != nil && o.Set[name]:
			take(&out, &o.RouteOptions, name)
		case of != nil && of.Set[name]:
			take(&out, &of.RouteOptions, name)
		}
	}
	if out.ID() == (&rhumb.RouteOptions{}).ID() {
		return nil
	}
	return out.Clone()
}

// take copies a field of options.
func take(to, from *rhumb.RouteOptions, name string) {
	switch name {
	case "redirect":
		to.Redirect = from.Redirect
	case "canonical":
		to.Canonical = from.Canonical
	case "maintenance":
		to.Maintenance = from.Maintenance
	case "auth":
		to.Auth = from.Auth
	case "strip":
		to.Strip = from.Strip
	case "headers":
		to.Request, to.Response = from.Request, from.Response
	case "pages":
		to.Pages, to.Replace = from.Pages, from.Replace
	case "compress":
		to.Compress = from.Compress
	case "buffer":
		to.Buffer = from.Buffer
	case "timeouts":
		to.Timeouts = from.Timeouts
	case "waf":
		to.WAF = from.WAF
	}
}

// optionReader reads options, or one of them.
type optionReader struct{ reader }

func (r optionReader) at(name string) optionReader { return optionReader{r.below(name)} }

// options reads those of the fields that are options; nil: there are none.
func (r optionReader) options(fields map[string]any) *Options {
	o := &Options{Set: map[string]bool{}}
	for _, name := range OptionFields {
		v, ok := fields[name]
		if !ok {
			continue
		}
		o.Set[name] = true
		if v == false || v == "false" || v == "off" {
			continue // a route without what its service has
		}
		r.at(name).option(&o.RouteOptions, name, v)
	}
	if len(o.Set) == 0 {
		return nil
	}
	return o
}

var sizesOfBuffers = sizes{0, routeoption.MaxBuffer, "up to 8 MB", "write it as 64KB or 1MB"}

// option reads one option.
func (r optionReader) option(o *rhumb.RouteOptions, name string, v any) {
	switch name {
	case "redirect":
		o.Redirect = r.redirect(v)
	case "canonical":
		if o.Canonical = strings.ToLower(r.text(v)); !routeoption.IsHost(o.Canonical) {
			r.wrong("write it as shop.example.com", "%q is not a host name", o.Canonical)
		}
	case "maintenance":
		o.Maintenance = r.page(v)
	case "auth":
		o.Auth = r.auth(v)
	case "strip":
		o.Strip = r.yes(v)
	case "headers":
		fields := r.fields(v, "request", "response")
		if v, ok := fields["request"]; ok {
			o.Request = r.at("request").changes(v, routeoption.RequestField)
		}
		if v, ok := fields["response"]; ok {
			o.Response = r.at("response").changes(v, routeoption.ResponseField)
		}
	case "pages":
		o.Pages, o.Replace = r.pages(v)
	case "compress":
		o.Compress = r.yes(v)
	case "buffer":
		fields := r.fields(v, "request", "response")
		for name, to := range map[string]*int64{"request": &o.Buffer.Request, "response": &o.Buffer.Response} {
			if v, ok := fields[name]; ok {
				*to = r.at(name).size(v, sizesOfBuffers)
			}
		}
	case "timeouts":
		o.Timeouts = r.timeouts(v)
	case "waf":
		o.WAF = r.waf(v)
	}
}

func (r optionReader) timeouts(v any) (t rhumb.Timeouts) {
	fields := r.fields(v, "header", "idle", "whole")
	if v, ok := fields["header"]; ok {
		t.Header = orZero(r.below("header").time(v))
	}
	if v, ok := fields["idle"]; ok {
		t.Idle = orZero(r.below("idle").time(v))
	}
	if v, ok := fields["whole"]; ok {
		t.Whole = orZero(r.below("whole").time(v))
	}
	return t
}

func orZero[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}

const redirectHint = "write a URL or a path, such as https://shop.example.com or /new"

// redirect reads where a route's requests go: a URL or a path, or a mapping.
func (r optionReader) redirect(v any) *rhumb.Redirect {
	out := &rhumb.Redirect{Status: 308}
	if s, ok := v.(string); ok {
		out.To = s
	} else {
		fields := r.fields(v, "to", "status", "exact")
		if fields == nil {
			return nil
		}
		if v, ok := fields["to"]; ok {
			out.To = r.below("to").text(v)
		} else {
			r.wrong(redirectHint, "to is missing")
			return nil
		}
		if v, ok := fields["exact"]; ok {
			out.Exact = r.below("exact").yes(v)
		}
		if v, ok := fields["status"]; ok {
			out.Status = r.at("status").redirectStatus(v)
		}
	}
	if _, err := routeoption.Split(out.To, out.Exact); err != nil {
		hint := redirectHint
		if strings.Contains(out.To, "?") && !out.Exact {
			hint = "add exact: true, or leave the query out: that of the request is added"
		}
		r.wrong(hint, "%s", err)
		return nil
	}
	return out
}

func (r optionReader) redirectStatus(v any) int {
	n, ok := wholeNumber(v)
	if !ok || !routeoption.RedirectStatus(n) {
		r.wrong("choose 301 or 308 for good, 302 or 307 for now; 307 and 308 keep the method and the body",
			"%v is not a status of a redirect", shown(v))
		return 308
	}
	return n
}

// auth reads who may come in: a file or a secret with users.
func (r optionReader) auth(v any) *rhumb.BasicAuth {
	const what = "add file: PATH, or secret: NAME"
	fields := r.fields(v, "file", "secret", "realm")
	if fields == nil {
		return nil
	}
	out := &rhumb.BasicAuth{Realm: "restricted"}
	if v, ok := fields["realm"]; ok {
		out.Realm = r.below("realm").text(v)
		if err := routeoption.Realm(out.Realm); err != nil {
			r.below("realm").wrong("write it as Back office", "%s", err)
		}
	}
	file, ofFile := fields["file"]
	secret, ofSecret := fields["secret"]
	switch {
	case ofFile && ofSecret:
		r.wrong("keep one of them", "file and secret are both set")
	case ofFile:
		out.Users = rhumb.RouteFile{Kind: rhumb.FileRoute, Name: r.below("file").text(file)}
	case ofSecret:
		out.Users = rhumb.RouteFile{Kind: rhumb.FileSecret, Name: r.below("secret").text(secret)}
	default:
		r.wrong(what, "who may come in is missing")
	}
	if out.Users.Name == "" {
		return nil
	}
	return out
}

// page reads the path of a page.
func (r optionReader) page(v any) *rhumb.RouteFile {
	name := r.text(v)
	if name == "" {
		return nil
	}
	for _, end := range []string{".html", ".json", ".txt"} {
		if strings.HasSuffix(name, end) {
			return &rhumb.RouteFile{Kind: rhumb.FileRoute, Name: name}
		}
	}
	r.wrong("the end of its name is its type: .html, .json or .txt", "%q can't be a page", name)
	return nil
}

// pages reads pages by status, and whether they replace those of replicas.
func (r optionReader) pages(v any) (list []rhumb.ErrorPage, replace bool) {
	m, ok := v.(map[string]any)
	if !ok {
		r.wrong(`write it as {"404": ./404.html, 5xx: ./sorry.html}`, "it must be a mapping of statuses to files")
		return nil, false
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		at := r.at(name)
		if name == "replace" {
			replace = at.yes(m[name])
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(name, "xx"))
		if err != nil || !routeoption.PageStatus(n) || (n < 10) != strings.HasSuffix(name, "xx") {
			at.wrong("write 400 to 599, 4xx or 5xx", "%q is not a status of an error", name)
			continue
		}
		if p := at.page(m[name]); p != nil {
			list = append(list, rhumb.ErrorPage{Status: n, File: *p})
		}
	}
	slices.SortFunc(list, func(a, b rhumb.ErrorPage) int { return a.Status - b.Status })
	return list, replace
}
