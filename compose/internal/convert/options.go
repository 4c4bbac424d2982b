package convert

import (
	"fmt"
	"path/filepath"
	"strings"

	"rhumb"
	"rhumb/compose/internal/diskfile"
	"rhumb/compose/internal/keys"
	"rhumb/internal/htpasswd"
	"rhumb/internal/routeoption"
)

// optioned sets the options of the services' routes and ports, and reads the files that they name.
func optioned(c *converter, services []rhumb.Service) {
	for i := range services {
		s := &services[i]
		x, at := c.extras[s.Name], "services."+s.Name+"."+keys.Extension
		s.Sticky = x.Sticky
		if x.Sticky && !servesStreams(s) && !c.unset {
			c.bad.At(at+".sticky", "add routes, or ports", "the service has no route and no port of TCP")
		}
		if x.HTTP != nil {
			readFiles(c, at+".http", &x.HTTP.RouteOptions)
			if !servesHTTP(s) && !c.unset {
				c.bad.At(at+".http", "add routes, or app_protocol: http to a port", "the service has no HTTP route or port")
			}
		}
		for j, own := range x.Options {
			path := fmt.Sprintf("%s.routes[%d]", at, j)
			if own != nil {
				readFiles(c, path, &own.RouteOptions)
			}
			r := &s.Routes[j]
			r.Options = own.Over(x.HTTP)
			contradictions(c, path, r)
		}
		if hasHTTPPort(s) && x.HTTP != nil {
			ports := *x.HTTP
			ports.Strip = false // a port has no path
			s.HTTP = ports.Over(nil)
		}
	}
}

// servesStreams reports whether clients of a service can stay with a slot.
func servesStreams(s *rhumb.Service) bool {
	for _, p := range s.Ports {
		if p.Protocol != rhumb.UDP {
			return true
		}
	}
	return len(s.Routes) > 0
}

func hasHTTPPort(s *rhumb.Service) bool {
	for _, p := range s.Ports {
		if p.Protocol == rhumb.HTTP {
			return true
		}
	}
	return false
}

// contradictions reports options that can't work on their route.
func contradictions(c *converter, path string, r *rhumb.Route) {
	o := r.Options
	if o == nil {
		return
	}
	if o.Strip && r.Path == "" {
		c.bad.At(path+".strip", "add the path, or leave strip out", "the route has no path to strip")
	}
	if o.Redirect == nil {
		return
	}
	to, err := routeoption.Split(o.Redirect.To, o.Redirect.Exact)
	if err != nil {
		return // reported where it was read
	}
	sameHost := to.Origin == "" || to.Host == r.Host
	at := strings.TrimRight(to.Path, "/")
	if sameHost && (at == r.Path || strings.HasPrefix(at, r.Path+"/")) {
		c.bad.At(path+".redirect", "send it to another host, or to a path outside of "+r.Address(),
			"%s belongs to the route itself: clients would be redirected forever", o.Redirect.To)
	}
}

// readFiles reads the files that options name, and completes their names.
func readFiles(c *converter, path string, o *rhumb.RouteOptions) {
	if o.Maintenance != nil {
		readPage(c, path+".maintenance", o.Maintenance)
	}
	for i := range o.Pages {
		readPage(c, path+".pages."+o.Pages[i].Name(), &o.Pages[i].File)
	}
	if o.Auth == nil {
		return
	}
	users, at := &o.Auth.Users, path+".auth.file"
	var content []byte
	if users.Kind == rhumb.FileSecret {
		at = path + ".auth.secret"
		if _, ok := c.project.Secrets[users.Name]; !ok {
			c.bad.At(at, "add it below secrets: at the top level", "there is no secret %q", users.Name)
			return
		}
		f, ok := c.file(at, fileKey{users.Kind, users.Name})
		if !ok || f.External != "" {
			return // the server checks what only it knows
		}
		content = f.Content
	} else if content = readRouteFile(c, at, users, htpasswd.MaxBytes); content == nil {
		return
	}
	if _, err := htpasswd.Parse(content); err != nil {
		c.bad.At(at, htpasswd.Hint, "the users in %s can't be read: %s", users.Name, err)
	}
}

// readPage reads a page.
func readPage(c *converter, at string, f *rhumb.RouteFile) {
	if b := readRouteFile(c, at, f, routeoption.MaxPage); b != nil && len(b) == 0 {
		c.bad.At(at, "write what visitors are to see", "%s is empty", f.Name)
	}
}

// readRouteFile reads a file for the proxy, which travels with the release. It returns nil after a mistake.
func readRouteFile(c *converter, at string, f *rhumb.RouteFile, most int64) []byte {
	file := c.pathOf(f.Name)
	b, err := diskfile.Read(file, c.in.Shown(file), most)
	if err != nil {
		c.bad.At(at, "name a file, relative to the project folder", "%s", err)
		return nil
	}
	f.Name = filepath.ToSlash(c.relative(file))
	c.keep(fileKey{rhumb.FileRoute, f.Name}, b)
	return b
}
