package inbound

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// fieldsOf returns a header block.
func fieldsOf(kv ...string) string {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(kv); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: kv[i], Value: kv[i+1]}) // a buffer takes everything
	}
	return b.String()
}

// settings returns a frame of SETTINGS.
func settings(pairs ...uint32) string {
	var p []byte
	for i := 0; i < len(pairs); i += 2 {
		p = binary.BigEndian.AppendUint16(p, uint16(pairs[i]))
		p = binary.BigEndian.AppendUint32(p, pairs[i+1])
	}
	return raw(kindSettings, 0, 0, string(p))
}

func TestTheLastValueOfASettingCounts(t *testing.T) {
	const twice = "\x00\x04\x00\x00\x00\x01\x00\x04\x00\x00\x00\x01"
	for name, c := range map[string]struct{ sent, want string }{
		"once each":         {settings(1, 0, 3, 100, 4, 65535), settings(1, 0, 3, 100, 4, 65535)},
		"twice":             {settings(4, 100, 4, 1), settings(4, 1)},
		"between others":    {settings(4, 100, 3, 9, 4, 1, 5, 16384, 4, 7), settings(3, 9, 5, 16384, 4, 7)},
		"an unknown one":    {settings(99, 1, 99, 2), settings(99, 2)},
		"none":              {settings(), settings()},
		"the table's size":  {settings(1, 0, 1, 4096), settings(1, 0, 1, 4096)},
		"a refused window":  {settings(4, 1<<31, 4, 1), settings(4, 1<<31, 4, 1)},
		"a refused size":    {settings(5, 1, 5, 16384), settings(5, 1, 5, 16384)},
		"a refused push":    {settings(2, 2, 2, 0), settings(2, 2, 2, 0)},
		"half a parameter":  {raw(4, 0, 0, "\x00\x04\x00\x00\x00"), raw(4, 0, 0, "\x00\x04\x00\x00\x00")},
		"of a stream":       {raw(4, 0, 1, twice), raw(4, 0, 1, twice)},
		"an acknowledgment": {raw(4, 1, 0, twice), raw(4, 1, 0, twice)},
		"too many":          {raw(4, 0, 0, strings.Repeat(twice, 51)), raw(4, 0, 0, strings.Repeat(twice, 51))},
	} {
		if _, got := sifted(t, strings.NewReader(c.sent)); string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// refusedStreams returns the streams that depend on themselves, and all that requests were seen on.
func refusedStreams(t *testing.T, b []byte) (refused, all []uint32) {
	t.Helper()
	for len(b) > 0 {
		h := frameOf(b)
		if h.kind == kindHeaders {
			all = append(all, h.stream)
			at := frameHead
			if h.has(flagPadded) {
				at++
			}
			if h.has(flagPriority) && binary.BigEndian.Uint32(b[at:]) == h.stream {
				refused = append(refused, h.stream)
			}
		}
		b = b[frameHead+h.length:]
	}
	return refused, all
}

func TestFieldsOfHTTP1AreRefused(t *testing.T) {
	get := []string{":method", "GET", ":scheme", "http", ":authority", "x", ":path", "/"}
	for name, c := range map[string]struct {
		fields  []string
		refused bool
	}{
		"nothing else":      {nil, false},
		"trailers":          {[]string{"te", "trailers"}, false},
		"gzip":              {[]string{"te", "gzip"}, true},
		"both":              {[]string{"te", "trailers, gzip"}, true},
		"in capitals":       {[]string{"te", "Trailers"}, true},
		"twice":             {[]string{"te", "trailers", "te", "trailers"}, true},
		"connection":        {[]string{"connection", "keep-alive"}, true},
		"keep-alive":        {[]string{"keep-alive", "5"}, true},
		"proxy-connection":  {[]string{"proxy-connection", "x"}, true},
		"transfer-encoding": {[]string{"transfer-encoding", "chunked"}, true},
		"upgrade":           {[]string{"upgrade", "h2c"}, true},
		"look-alikes":       {[]string{"upgrades", "x", "x-connection", "y", "tea", "gzip"}, false},
		"behind much":       {[]string{"x", strings.Repeat("x", 20_000), "upgrade", "h2c"}, true},
	} {
		block := fieldsOf(append(get, c.fields...)...)
		half := len(block) / 2
		for form, sent := range map[string]string{
			"whole":           raw(1, 5, 7, block),
			"padded":          raw(1, 5|8, 7, "\x03"+block+"pad"),
			"with a priority": raw(1, 5|0x20, 7, "\x00\x00\x00\x03\x10"+block),
			"with both":       raw(1, 5|8|0x20, 7, "\x01\x80\x00\x00\x03\x10"+block+"p"),
			"in two frames":   raw(1, 1, 7, block[:half]) + raw(9, 4, 7, block[half:]),
		} {
			if name == "behind much" && form != "in two frames" {
				continue // larger than a frame may be
			}
			_, out := sifted(t, strings.NewReader(sent+raw(6, 0, 0, "rhumb---")))
			refused, all := refusedStreams(t, out)
			if len(all) != 1 || all[0] != 7 || (len(refused) == 1) != c.refused {
				t.Errorf("%s, %s: %q", name, form, out)
			}
			if !c.refused && string(out) != sent+raw(6, 0, 0, "rhumb---") {
				t.Errorf("%s, %s: changed to %q", name, form, out)
			}
		}
	}
}

// The server must see all header blocks, because later ones refer to them.
func TestTheTableOfRefusedRequestsIsKept(t *testing.T) {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	sent := ""
	for i, fields := range [][2]string{{"x-kept", "words"}, {"upgrade", "h2c"}, {"x-kept", "words"}} {
		block.Reset()
		_ = e.WriteField(hpack.HeaderField{Name: fields[0], Value: fields[1]})
		sent += raw(1, 5, uint32(2*i+1), block.String())
	}
	_, out := sifted(t, strings.NewReader(sent))
	var got []string
	d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { got = append(got, f.Name+"="+f.Value) })
	for b := out; len(b) > 0; {
		h := frameOf(b)
		part, ok := fragment(h, b[frameHead:frameHead+h.length])
		if _, err := d.Write(part); err != nil || !ok || d.Close() != nil {
			t.Fatalf("%q: %v", b, err)
		}
		b = b[frameHead+h.length:]
	}
	if want := "x-kept=words upgrade=h2c x-kept=words"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	if refused, _ := refusedStreams(t, out); len(refused) != 1 || refused[0] != 3 {
		t.Errorf("refused: %v", refused)
	}
}

func TestARequestThatIsTakenBackAlreadyIsNotBegun(t *testing.T) {
	get := func(s uint32) string { return raw(1, 5, s, "\x82\x84") }
	reset := func(s uint32) string { return raw(3, 0, s, "code") }
	for name, c := range map[string]struct {
		sent string
		want int // refused
	}{
		"one":                {get(1) + reset(1), 1},
		"none":               {get(1) + get(3) + reset(5), 0},
		"another":            {get(1) + get(3) + reset(1), 1},
		"a hundred":          {each(50, func(s uint32) string { return get(s) + reset(s) }), 50},
		"with a body":        {raw(1, 4, 1, "\x83\x84") + raw(0, 0, 1, "body") + reset(1), 1},
		"trailers of others": {get(1) + raw(1, 5, 1, "\x82\x84") + get(3) + reset(3), 1},
	} {
		_, out := sifted(t, strings.NewReader(c.sent))
		if refused, _ := refusedStreams(t, out); len(refused) != c.want {
			t.Errorf("%s: %v are refused, want %d", name, refused, c.want)
		}
	}
}

func TestNoRequestFollowsABlockThatCannotBeRead(t *testing.T) {
	good, much := raw(1, 5, 3, "\x82\x84"), strings.Repeat("\x82", 16_000)
	for name, bad := range map[string]string{
		"too large":        raw(1, 1, 1, much) + strings.Repeat(raw(9, 0, 1, much), 4),
		"in many parts":    raw(1, 1, 1, "\x82") + strings.Repeat(raw(9, 0, 1, ""), 40) + raw(9, 4, 1, "\x84"),
		"an unknown index": raw(1, 5, 1, "\xbf"),
		"half a field":     raw(1, 5, 1, "\x00\x03abc"),
		"all padding":      raw(1, 5|8, 1, "\x05abc"),
		"no padding":       raw(1, 5|8, 1, ""),
		"half a priority":  raw(1, 5|0x20, 1, "abc"),
		"another frame":    raw(1, 1, 1, "\x82") + raw(6, 0, 0, "rhumb---"),
		"another stream":   raw(1, 1, 1, "\x82") + raw(9, 4, 3, "\x84"),
	} {
		_, out := sifted(t, strings.NewReader(bad+good))
		if string(out) != bad {
			t.Errorf("%s: %d bytes %.60q", name, len(out), out)
		}
	}
}

// endless is a client that asks the same again and again.
type endless struct {
	block  string
	stream uint32
	rest   []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		e.stream += 2
		e.rest = []byte(raw(1, 5, e.stream, e.block))
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func BenchmarkARequestThroughTheSieve(b *testing.B) {
	src := &endless{stream: 1, block: fieldsOf(":method", "GET", ":scheme", "https", ":authority", "shop.example.com",
		":path", "/small?a=b", "user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101",
		"accept", "text/html,*/*;q=0.8", "accept-encoding", "gzip, br", "cookie", "session=0123456789abcdef")}
	s, head := &sieve{max: 64 << 10}, make([]byte, frameHead)
	rest := make([]byte, maxFrame)
	for b.Loop() {
		for _, p := range [][]byte{head, rest[:len(src.block)]} {
			for len(p) > 0 {
				n, err := s.read(src, p)
				if err != nil {
					b.Fatal(err)
				}
				p = p[n:]
			}
		}
	}
}

// FuzzFramesPassTheSieve checks that frames pass in their order, and that only those change that may.
func FuzzFramesPassTheSieve(f *testing.F) {
	get := raw(1, 5, 1, "\x82\x84")
	for _, s := range []string{get, get + raw(3, 0, 1, "code"), settings(4, 100, 4, 1),
		raw(1, 1, 1, "\x82") + raw(9, 4, 1, "\x84"), raw(1, 5, 1, fieldsOf("te", "gzip")) + raw(0, 9, 1, "\x02x  "),
		raw(1, 5|8|0x20, 1, "\x01\x80\x00\x00\x03\x10\x82p"),
		raw(1, 4, 1, "\x83") + raw(0, 1, 1, "body") + raw(1, 5, 1, fieldsOf("x", "y"))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		_, out := sifted(t, bytes.NewReader(in))
		for len(out) >= frameHead {
			if len(in) < frameHead {
				t.Fatalf("%q comes from nothing", out)
			}
			a, b := frameOf(in), frameOf(out)
			before := in[frameHead:min(len(in), frameHead+a.length)]
			after := out[frameHead:min(len(out), frameHead+b.length)]
			alike := a.kind == b.kind && a.stream == b.stream
			switch {
			case alike && a.length == b.length && a.flags == b.flags && bytes.Equal(before, after):
			case alike && a.kind == kindSettings && a.flags == b.flags && len(after) < len(before):
			case alike && a.kind == kindHeaders && b.flags == a.flags|flagPriority:
			default:
				t.Fatalf("%+v %q became %+v %q", a, before, b, after)
			}
			in, out = in[frameHead+len(before):], out[frameHead+len(after):]
		}
	})
}
