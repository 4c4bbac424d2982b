package http1

// Response is the head of a response. Its strings share memory with the buffer that it was read from. Replicas are read
// with more patience than clients: their lines may end in LF alone, and may be folded.
type Response struct {
	Status int
	Reason string
	Minor  int
	Fields []Field
	Length int64 // of the body, unless the status or the method allows none; Chunked, UntilEnd

	options
	Upgrade string // the protocol that the connection changes to, with the status 101

	lines
	began    bool
	lengths  int
	codings  int
	doubtful bool // both lengths: the connection must not be used again
}

// Reset makes ready for the next response.
func (r *Response) Reset() {
	clear(r.Fields) // they would keep a buffer in memory
	fields, opts := r.Fields[:0], r.options
	if cap(fields) > 4*typicalFields {
		fields = nil
	}
	opts.reset()
	*r = Response{Fields: fields, options: opts, lines: lines{loose: true}}
}

// Parse reads a head from the beginning of b. It returns the head's size, which is 0 as long as the head hasn't ended.
// It is then called again when more bytes have come, with those of before in front. It joins folded lines, which
// changes b. An error is a *Fault.
func (r *Response) Parse(b []byte) (size int, err error) {
	if r.Fields == nil {
		r.Fields = make([]Field, 0, typicalFields)
	}
	r.loose = true
	for {
		from := r.at
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
		case r.at == len(b):
			r.at = from // the next line may be the rest of this one
			return 0, nil
		case blank(b[r.at]):
			for i := from + len(line); i < r.at; i++ {
				b[i] = ' '
			}
			r.at = from
		default:
			err = r.takeField(line)
		}
		if err != nil {
			return 0, err
		}
	}
}

// takeFirst takes the line with the version and the status.
func (r *Response) takeFirst(line []byte) error {
	const version = "HTTP/1."
	at := len(version)
	if len(line) < at+5 || text(line[:at]) != version || line[at] < '0' || line[at] > '1' || line[at+1] != ' ' {
		return ErrStatus
	}
	r.Minor = int(line[at] - '0')
	status := line[at+2:]
	if len(status) > 3 && status[3] != ' ' || !IsNumber(status[:3]) || status[0] == '0' {
		return ErrStatus
	}
	r.Status = int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
	if len(status) > 4 {
		r.Reason = text(status[4:])
	}
	if !all(r.Reason, inValue) {
		return ErrLine
	}
	r.Length = UntilEnd
	return nil
}

func (r *Response) takeField(line []byte) error {
	f, _, err := readField(line)
	if err != nil {
		return err
	}
	if len(r.Fields) == maxFields {
		return ErrTooLarge
	}
	r.Fields = append(r.Fields, f)
	switch f.Kind {
	case ContentLength:
		n, ok := number(f.Value)
		if !ok || r.lengths > 0 && n != r.Length && r.codings == 0 {
			return ErrFraming
		}
		if r.lengths++; r.codings == 0 {
			r.Length = n
		}
	case TransferEncoding:
		if r.codings++; r.codings > 1 || r.Minor == 0 || !same(f.Value, "chunked", false) {
			return ErrFraming
		}
		r.Length = Chunked
	case Connection:
		return r.take(f.Value)
	}
	return nil
}

func (r *Response) complete() error {
	r.doubtful = r.lengths > 0 && r.codings > 0
	if r.options.upgrade {
		r.Upgrade = First(r.Fields, Upgrade)
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; r.Length == Chunked && f.Kind == Trailer && frames(f.Value) {
			return ErrTrailer
		}
	}
	return nil
}

// BodyLength returns the length of the body of an answer to a request with the method.
func (r *Response) BodyLength(method string) int64 {
	if method == "HEAD" || r.Status < 200 || r.Status == 204 || r.Status == 304 {
		return 0
	}
	return r.Length
}

// Reusable reports whether the connection may be used again after a body that has its whole length.
func (r *Response) Reusable(method string) bool {
	if r.Close || r.Minor == 0 && !r.KeepAlive || r.doubtful {
		return false
	}
	return r.BodyLength(method) != UntilEnd
}
