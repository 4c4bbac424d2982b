package http1

import "rhumb/proxy/internal/table"

// Request is the head of a request. Its strings share memory with the buffer that it was read from.
type Request struct {
	Method string
	Target string // to the letter
	Host   string // that the request is for: of a URL, or else of the field; "": the client named none
	Path   string // of the target, undecoded; "" for "*", for CONNECT, and for a URL without one
	Query  string // of the target, from "?" on
	Minor  int    // the version is HTTP/1.Minor
	Fields []Field
	Length int64 // of the body, 0 if there is none; Chunked

	options
	Continue bool   // the client waits for 100 Continue before it sends the body
	Trailers bool   // the client takes trailers
	Upgrade  string // the protocol that the client asks to change to; "": none
	Asks     bool   // there is a field Upgrade, so that what follows may not be HTTP

	lines
	began   bool // the first line has been read
	skipped bool // an empty line was skipped
	host    string
	hosts   int
	lengths int
	codings int
}

// Reset makes ready for the next request.
func (r *Request) Reset() {
	clear(r.Fields) // they would keep a buffer in memory
	fields, opts := r.Fields[:0], r.options
	if cap(fields) > 4*typicalFields {
		fields = nil
	}
	opts.reset()
	*r = Request{Fields: fields, options: opts, Minor: 1}
}

const typicalFields = 32

// Parse reads a head from the beginning of b. It returns the head's size, which is 0 as long as the head hasn't ended.
// It is then called again when more bytes have come, with those of before in front. One empty line may precede the
// head, and belongs to it. An error is a *Fault.
func (r *Request) Parse(b []byte) (size int, err error) {
	if r.Fields == nil {
		r.Fields = make([]Field, 0, typicalFields)
	}
	if r.at == 0 && len(b) > 0 && b[0] == '\r' && !r.skipped {
		if len(b) == 1 {
			return 0, nil
		}
		if b[1] != '\n' {
			return 0, ErrLine
		}
		r.at, r.skipped = 2, true
	}
	for {
		line, err := r.next(b)
		switch {
		case err != nil:
			return 0, err
		case line == nil:
			return 0, nil
		case !r.began:
			r.began = true
			err = r.takeFirst(line)
		case len(line) == 0:
			return r.at, r.complete()
		default:
			err = r.takeField(line)
		}
		if err != nil {
			return 0, err
		}
	}
}

// Sized reports whether there is a Content-Length.
func (r *Request) Sized() bool { return r.lengths > 0 }

// takeFirst takes the line with the method, the target and the version.
func (r *Request) takeFirst(line []byte) error {
	if len(line) == 0 {
		return ErrEmptyLine
	}
	const version = " HTTP/1.1"
	method := 0
	for method < len(line) && classes[line[method]]&inToken != 0 {
		method++
	}
	end := len(line) - len(version)
	if method == 0 || end <= method+1 || line[method] != ' ' {
		return ErrFirstLine
	}
	r.Method = text(line[:method])
	target := line[method+1 : end]
	switch text(line[end:]) {
	case version:
		r.Minor = 1
	case " HTTP/1.0":
		r.Minor = 0
	default:
		return ErrFirstLine
	}
	if !all(target, inTarget) || r.Method == "PRI" { // half a preface of HTTP/2
		return ErrFirstLine
	}
	r.Target = text(target)
	return r.aim()
}

func (r *Request) takeField(line []byte) error {
	f, value, err := readField(line)
	if err != nil {
		return err
	}
	if len(r.Fields) == maxFields {
		return ErrTooLarge
	}
	r.Fields = append(r.Fields, f)
	switch f.Kind {
	case Other:
		if FramesBody(f.Name) { // with "_"
			return ErrFraming
		}
	case Host:
		r.hosts++
		r.host = f.Value
		if r.hosts > 1 || !table.ValidHost(f.Value) {
			return ErrHost
		}
	case ContentLength:
		n, ok := number(spaced(value))
		if r.lengths++; !ok || r.lengths+r.codings > 1 {
			return ErrFraming
		}
		r.Length = n
	case TransferEncoding:
		if r.codings++; r.lengths+r.codings > 1 || r.Minor == 0 || !same(spaced(value), "chunked", false) {
			return ErrFraming
		}
		r.Length = Chunked
	case Connection:
		return r.take(f.Value)
	case Upgrade:
		r.Asks = true
	case TE:
		r.Trailers = r.Trailers || HasToken(f.Value, "trailers")
	case Expect:
		if !same(f.Value, "100-continue", false) {
			return ErrExpect
		}
		r.Continue = true
	}
	return nil
}

// spaced returns a value without the spaces around it. A tab stays: in what frames a body, servers read it differently.
func spaced(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// complete takes in what only the whole head shows.
func (r *Request) complete() error {
	if r.Minor == 1 && r.hosts == 0 {
		return ErrHost
	}
	if r.Host == "" {
		r.Host = r.host
	}
	r.Continue = r.Continue && r.Minor == 1 && r.Length != 0
	if r.Asks && r.options.upgrade && r.Minor == 1 {
		r.Upgrade = First(r.Fields, Upgrade)
		if !all(r.Upgrade, inValue) || !printable(r.Upgrade) {
			return ErrField
		}
	}
	if r.Minor == 0 {
		r.Close = r.Close || !r.KeepAlive
	}
	if r.Length != Chunked {
		return nil
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Kind == Trailer && frames(f.Value) {
			return ErrTrailer
		}
	}
	return nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// frames reports whether a list of trailers names one that frames the body.
func frames(list string) bool {
	return HasToken(list, "content-length") || HasToken(list, "transfer-encoding") || HasToken(list, "trailer")
}
