package preamble

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"rhumb"
)

// binary2 returns a preamble of version 2.
func binary2(command, family byte, rest string) string {
	return signature + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const pair4 = "\xc0\x00\x02\x01\xcb\x00\x71\x05\x1f\x90\x00\x50" // 192.0.2.1:8080 called 203.0.113.5:80

func TestPreamblesAreReadToTheLastByteAndNoFurther(t *testing.T) {
	six := strings.Repeat("\x20\x01\x0d\xb8"+strings.Repeat("\x00", 11)+"\x09", 2) + "\x00\x01\x00\x02"
	mapped := strings.Repeat(strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x01", 2) + "\x00\x01\x00\x02"
	for _, c := range []struct{ in, client, called string }{
		{"PROXY TCP4 192.0.2.1 203.0.113.5 8080 80\r\n", "192.0.2.1:8080", "203.0.113.5:80"},
		{"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1", "[2001:db8::2]:65535"},
		{"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n", "192.0.2.1:1", "[2001:db8::2]:2"},
		{"PROXY UNKNOWN\r\n", "", ""},
		{"PROXY UNKNOWN 1 2 three\r\n", "", ""},
		{binary2(0x21, 0x11, pair4), "192.0.2.1:8080", "203.0.113.5:80"},
		{binary2(0x21, 0x11, pair4+"\x04\x00\x01x"), "192.0.2.1:8080", "203.0.113.5:80"},
		{binary2(0x21, 0x21, six), "[2001:db8::9]:1", "[2001:db8::9]:2"},
		{binary2(0x21, 0x21, mapped), "192.0.2.1:1", "192.0.2.1:2"},
		{binary2(0x20, 0x11, pair4), "", ""},
		{binary2(0x20, 0xff, "whatever"), "", ""},
		{binary2(0x21, 0x00, ""), "", ""},
		{binary2(0x21, 0x31, strings.Repeat("x", 216)), "", ""},
	} {
		r := strings.NewReader(c.in + "hello")
		h, err := Read(r)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		rest, _ := io.ReadAll(r)
		if string(rest) != "hello" {
			t.Errorf("%q: %q is left", c.in, rest)
		}
		if show(h.Client) != c.client || show(h.Called) != c.called {
			t.Errorf("%q: client %s called %s, want %s and %s", c.in, show(h.Client), show(h.Called), c.client, c.called)
		}
	}
}

func show(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestWhatIsNoPreambleIsRefused(t *testing.T) {
	for _, in := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on",
		"PROXY TCP4 192.0.2.1 203.0.113.5 8080 80\n" + strings.Repeat("x", 200),
		"PROXY TCP4 192.0.2.1 203.0.113.5 8080 080\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.5 8080 65536\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.5 +80 80\r\n",
		"PROXY TCP4 2001:db8::1 203.0.113.5 80 80\r\n",
		"PROXY TCP6 192.0.2.1 192.0.2.2 80 80\r\n",
		"PROXY TCP6 fe80::1%eth0 2001:db8::1 80 80\r\n",
		"PROXY TCP4  192.0.2.1 203.0.113.5 80 80\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.5 80\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.5 80 80 \r\n",
		"PROXY TCP4 0.0.0.0 203.0.113.5 80 80\r\n",
		"PROXY TCP4 224.0.0.1 203.0.113.5 80 80\r\n",
		"PROXY UDP4 192.0.2.1 203.0.113.5 80 80\r\n",
		"proxy TCP4 192.0.2.1 203.0.113.5 80 80\r\n",
		"PROXY TCP4\r\nGET / HTTP/1.1\r\n\r\n" + strings.Repeat("x", 200),
		binary2(0x11, 0x11, pair4),
		binary2(0x22, 0x11, pair4),
		binary2(0x21, 0x12, pair4),
		binary2(0x21, 0x11, pair4[1:]),
		binary2(0x21, 0x21, pair4),
		binary2(0x21, 0x11, strings.Repeat("x", most+1)),
	} {
		if h, err := Read(strings.NewReader(in)); err == nil {
			t.Errorf("%q is read as %+v", in, h)
		}
	}
}

func TestAPreambleThatBreaksOffIsAnError(t *testing.T) {
	for _, whole := range []string{"PROXY TCP4 192.0.2.1 203.0.113.5 8080 80\r\n", binary2(0x21, 0x11, pair4)} {
		for n := range len(whole) {
			_, err := Read(strings.NewReader(whole[:n]))
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %v", whole[:n], err)
			}
		}
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	random := func(four bool) netip.AddrPort {
		var b [16]byte
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		b[0] = 0x20 // neither unspecified nor multicast
		if four {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(rng.Uint32()))
		}
		return netip.AddrPortFrom(netip.AddrFrom16(b), uint16(rng.Uint32()))
	}
	for range 1000 {
		four := rng.IntN(2) == 0
		for _, v := range []rhumb.ProxyProtocol{rhumb.ProxyV1, rhumb.ProxyV2} {
			h := Header{Version: v, Client: random(four), Called: random(four)}
			got, err := Read(bytes.NewReader(h.Append(nil)))
			if err != nil || got != h {
				t.Fatalf("seed %d: %+v is read as %+v: %v", seed, h, got, err)
			}
			h.Called = random(!four)
			got, err = Read(bytes.NewReader(h.Append(nil)))
			if err != nil || got != (Header{Version: v}) {
				t.Fatalf("seed %d: addresses of two families are read as %+v: %v", seed, got, err)
			}
		}
	}
}

func FuzzPreamble(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 192.0.2.1 203.0.113.5 8080 80\r\n", "PROXY UNKNOWN\r\n",
		binary2(0x21, 0x11, pair4), binary2(0x20, 0, ""), "GET / HTTP/1.1\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		h, err := Read(r)
		if read := len(in) - r.Len(); read > head+most {
			t.Fatalf("%d bytes were read", read)
		}
		if err != nil {
			return
		}
		again, err := Read(bytes.NewReader(h.Append(nil)))
		if err != nil {
			t.Fatalf("%+v can't be read again: %v", h, err)
		}
		if h.Client.IsValid() && h.Client.Addr().Is4() == h.Called.Addr().Is4() && again != h {
			t.Fatalf("%+v is read again as %+v", h, again)
		}
	})
}
