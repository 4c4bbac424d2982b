package web

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"

	"rhumb"
	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/http1"
)

// look has the request looked at for attacks, if its route asks for that. It reports whether the request may be
// forwarded.
func (s *course) look() bool {
	x, r := s.x, &s.x.c.request
	most, without, ok := s.chain.Look(x.path)
	if !ok {
		return true
	}
	stack := stackOf(x.snap, s.backend)
	body, partial, ok := s.lookBody(most)
	var instead *chain.Answer
	switch {
	case ok:
		i := &rhumb.Inspection{Without: without, Client: outgoing{x.c}.client(), Method: r.Method,
			Target: string(append([]byte(r.Path), r.Query...)), Proto: "HTTP/1.1", Host: r.Host,
			Fields: inspected(r.Fields), Body: body, Partial: partial}
		if r.Minor == 0 {
			i.Proto = "HTTP/1.0"
		}
		s.ruling, instead = s.chain.Inspect(x.c.ctx, i, stack)
	case x.upload.cut.Load():
		return false // its client has an answer, or is gone
	default:
		s.ruling, instead = s.chain.Unseen(stack)
	}
	if instead != nil {
		reply{x}.answer(instead)
	}
	return instead == nil
}

// logAttack logs an attack where there are no lines of requests.
func (s *Server) logAttack(v *chain.Ruling, backend string, client netip.Addr, method, path string) {
	if v.Word == chain.Unseen { // that is logged once a minute
		return
	}
	s.deps.Log.Warn("attack in a request", "waf", v.Word, "backend", backend, "client", client, "method", method,
		"path", path[:min(len(path), maxAccessText)], "rules", v.Rules(), "score", v.Finding.Score)
}

// lookBody returns the part of the body that is looked at. It returns false if there is no memory for it, or if the
// body breaks off, which is then answered.
func (s *course) lookBody(most int64) (body []byte, partial, ok bool) {
	u, r := &s.x.upload, &s.x.c.request
	if u.whole || most == 0 {
		return nil, !u.whole, true
	}
	if !s.take(most) {
		return nil, false, false
	}
	if r.Continue { // the client waits until it is asked, and the replica needn't ask any more
		r.Continue = false
		if _, err := s.x.c.conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			u.cut.Store(true)
			s.x.failed(err)
			return nil, false, false
		}
	}
	body, err := u.look(most)
	if err != nil {
		s.x.failed(err)
		return nil, false, false
	}
	partial = !u.arrived() || int64(len(body)) > most
	return body[:min(int64(len(body)), most)], partial, true
}

// inspected returns the fields of a request for an Inspection.
func inspected(fields []http1.Field) []rhumb.HeaderField {
	list := make([]rhumb.HeaderField, 0, len(fields))
	for i := range fields {
		if f := &fields[i]; f.Kind != http1.Host {
			list = append(list, rhumb.HeaderField{Name: f.Name, Value: f.Value})
		}
	}
	return list
}

// look has the request looked at for attacks, if its route asks for that. It reports whether the request may be
// forwarded, and with an error that its body broke off.
func (o *options) look(s *Server, out *http.Request, line *access, w http.ResponseWriter) (bool, error) {
	most, without, ok := o.chain.Look(o.in.URL.Path)
	if !ok {
		return true, nil
	}
	stack := stackOf(s.deps.Served.Load(), o.backend)
	body, partial, ok, err := o.lookBody(s, out, most)
	if err != nil {
		return false, err
	}
	var ruling *chain.Ruling
	var instead *chain.Answer
	if ok {
		target := o.in.URL.EscapedPath()
		if o.in.URL.RawQuery != "" || o.in.URL.ForceQuery {
			target += "?" + o.in.URL.RawQuery
		}
		i := &rhumb.Inspection{Without: without, Client: s.clientOf(o.in, addrPortOf(o.in.RemoteAddr).Addr()),
			Method: o.in.Method, Target: target, Proto: o.in.Proto, Host: o.in.Host, Fields: chain.Fields(o.in.Header),
			Body: body, Partial: partial}
		for _, coding := range o.in.TransferEncoding { // which isn't among the fields
			i.Fields = append(i.Fields, rhumb.HeaderField{Name: "Transfer-Encoding", Value: coding})
		}
		ruling, instead = o.chain.Inspect(o.in.Context(), i, stack)
	} else {
		ruling, instead = o.chain.Unseen(stack)
	}
	line.noteRuling(ruling)
	if instead != nil {
		line.noteError(instead.String())
		instead.Write(w, o.in)
	}
	return instead == nil, nil
}

// lookBody returns the part of the body that is looked at, and puts it back in its place. It returns false if there is
// no memory for it.
func (o *options) lookBody(s *Server, out *http.Request, most int64) (body []byte, partial, ok bool, err error) {
	if out.Body == nil || out.Body == http.NoBody || most == 0 {
		return nil, out.Body != nil && out.Body != http.NoBody, true, nil
	}
	if !s.budget.Take(most) {
		return nil, false, false, nil
	}
	o.ends = append(o.ends, func() { s.budget.Return(most) })
	out.Header.Del("Expect") // the client is asked by the first read
	body, err = io.ReadAll(io.LimitReader(out.Body, most+1))
	if err != nil {
		return nil, false, false, err
	}
	out.Body = &partRead{io.MultiReader(bytes.NewReader(body), out.Body), out.Body}
	return body[:min(int64(len(body)), most)], int64(len(body)) > most, true, nil
}
