package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// page is one page of the dashboard. It changes nothing.
type page struct {
	path string // as http.ServeMux has it
	name string // in the navigation; "": it isn't there
	file string // its template
	show func(*server, *http.Request) (view, error)
}

// view is what a page shows.
type view struct {
	Title  string
	Here   string // the path of the entry in the navigation that the page belongs to; "": its own
	Live   string // the address of the stream that says when the page has changed; "": it doesn't change
	Status int    // 0: 200
	Away   error  // why the daemon doesn't answer; nil: it does
	Page   any    // for the page's template
}

// action is a change that a form asks for.
type action struct {
	path string
	do   func(*server, http.ResponseWriter, *http.Request) (next string, err error)
}

// closedPage is for browsers that haven't shown the key. Its data is whether they have shown a wrong one.
var closedPage = page{file: "closed.html"}

// failedPage shows an error in place of a page.
var failedPage = page{file: "failed.html"}

// screen is what every template gets.
type screen struct {
	view
	Now     time.Time
	Theme   string // "": as the system's
	Token   string // for forms
	Machine string
	Version string
	Path    string // of this page, with its parameters
	Open    bool   // the browser has passed the gate
	Nav     []navEntry
}

type navEntry struct {
	Path, Name string
	Here       bool
	Firing     int // alerts
}

// serve shows a page.
func (s *server) serve(p page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTime)
		defer cancel()
		r = r.WithContext(ctx)
		select {
		case s.renders <- struct{}{}:
			defer func() { <-s.renders }()
		case <-ctx.Done():
			s.fail(w, r, rhumb.Errorf(rhumb.Timeout, "too many pages are asked for at a time"))
			return
		}
		v, err := p.show(s, r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		v.Here = cmp.Or(v.Here, p.path)
		s.render(w, r, p, v)
	})
}

// change performs an action, and sends the browser on.
func (s *server) change(a action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), changeTime)
		defer cancel()
		r = r.WithContext(ctx)
		if err := r.ParseForm(); err != nil {
			s.fail(w, r, rhumb.Errorf(rhumb.Invalid, "the form can't be read"))
			return
		}
		if err := s.gate.permit(r); err != nil {
			s.fail(w, r, err)
			return
		}
		next, err := a.do(s, w, r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
	})
}

// failure is the data of failedPage.
type failure struct {
	Err  error
	Back string
}

// fail shows an error in place of a page.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, here := rhumb.ErrorCode(err), ""
	if code == rhumb.Internal {
		s.Log.Error("page failed", "path", r.URL.Path, "err", err)
	}
	for _, p := range pages {
		if p.name != "" && strings.HasPrefix(r.URL.Path, p.path) {
			here = p.path
		}
	}
	v := view{Title: title(code), Status: statusOf(err), Here: here, Page: failure{err, cmp.Or(here, "/stacks")}}
	if r.Method == http.MethodGet && away(err) {
		v.Live = liveAt("", rhumb.MeasureEvery) // the page comes back with the daemon
	}
	s.render(w, r, failedPage, v)
}

func title(c rhumb.Code) string {
	switch c {
	case rhumb.NotFound:
		return "Not found"
	case rhumb.Unavailable:
		return "The daemon is away"
	case rhumb.Timeout:
		return "No answer in time"
	case rhumb.Denied:
		return "Not allowed"
	case rhumb.Invalid:
		return "That can't be"
	case rhumb.Conflict, rhumb.Locked:
		return "Not now"
	}
	return "That failed"
}

func statusOf(err error) int {
	switch rhumb.ErrorCode(err) {
	case rhumb.NotFound:
		return http.StatusNotFound
	case rhumb.Invalid:
		return http.StatusBadRequest
	case rhumb.Denied:
		return http.StatusForbidden
	case rhumb.Conflict, rhumb.Locked:
		return http.StatusConflict
	case rhumb.Unavailable:
		return http.StatusServiceUnavailable
	case rhumb.Timeout, rhumb.Cancelled:
		return http.StatusGatewayTimeout
	case rhumb.Unsupported:
		return http.StatusNotImplemented
	}
	return http.StatusInternalServerError
}

// render writes a page. It makes the whole page first, so that a mistake in a template shows no half page.
func (s *server) render(w http.ResponseWriter, r *http.Request, p page, v view) {
	session := sessionOf(r)
	sc := screen{view: v, Now: s.now(), Theme: themeOf(r), Machine: s.Machine, Version: s.Version,
		Path: r.URL.RequestURI(), Open: session != ""}
	if sc.Open {
		sc.Token = s.gate.token(session)
		sc.Nav = s.navigation(r.Context(), v.Here)
	}
	var out bytes.Buffer
	if err := s.screens[p.file].ExecuteTemplate(&out, "layout.html", sc); err != nil {
		s.Log.Error("page not rendered", "page", p.file, "err", err)
		http.Error(w, "rhumb: this page can't be shown; the log of rhumb observe says why", http.StatusInternalServerError)
		return
	}
	body := visible(out.Bytes())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(cmp.Or(v.Status, http.StatusOK))
	_, _ = w.Write(body) // a browser that has left needs no page
}

// navigation returns the entries of the navigation, with the number of firing alerts where it is known.
func (s *server) navigation(ctx context.Context, here string) []navEntry {
	var nav []navEntry
	for _, p := range pages {
		if p.name == "" {
			continue
		}
		e := navEntry{Path: p.path, Name: p.name, Here: p.path == here}
		if p.path == "/alerts" {
			e.Firing = s.firing(ctx)[""]
		}
		nav = append(nav, e)
	}
	return nav
}

// firing counts the firing alerts by stack, and under "" those of all; nil if they are unknown.
func (s *server) firing(ctx context.Context) map[string]int {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	alerts, err := s.Alerts.Alerts(ctx, "")
	if err != nil {
		return nil
	}
	n := map[string]int{}
	for _, a := range alerts {
		if a.State == rhumb.AlertFiring && a.Silence == "" && !a.Inhibited {
			n[""]++
			if a.Stack != "" {
				n[a.Stack]++
			}
		}
	}
	return n
}

// parse returns the template of a page, with the layout around it and the parts that pages share.
func parse(file string) *template.Template {
	return template.Must(template.New(file).Funcs(words).ParseFS(files, "templates/layout.html", "templates/parts*.html",
		"templates/"+file))
}

// away reports whether an error means that the daemon doesn't answer.
func away(err error) bool {
	c := rhumb.ErrorCode(err)
	return c == rhumb.Unavailable || c == rhumb.Timeout || errors.Is(err, context.DeadlineExceeded)
}

// themeOf returns the theme that the browser has chosen: "light", "dark", or "" for the system's.
func themeOf(r *http.Request) string {
	c, err := r.Cookie("rhumb_theme")
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return ""
	}
	return c.Value
}

// setTheme stores which theme the browser wants.
func setTheme(s *server, w http.ResponseWriter, r *http.Request) (string, error) {
	c := &http.Cookie{Name: "rhumb_theme", Value: r.PostFormValue("theme"), Path: "/", HttpOnly: true,
		MaxAge: int((365 * 24 * time.Hour).Seconds()), SameSite: http.SameSiteStrictMode}
	if c.Value != "light" && c.Value != "dark" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(w, c)
	return local(r.PostFormValue("back")), nil
}

// local returns an address if it is one of this dashboard, and otherwise that of the first page.
func local(back string) string {
	if !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || strings.ContainsAny(back, "\\\r\n\t") {
		return "/stacks"
	}
	return back
}
