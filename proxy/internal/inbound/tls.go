package inbound

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"time"

	"rhumb/proxy/internal/table"
)

// Protocols that are agreed on in a handshake.
const (
	protocolHTTP2     = "h2"
	protocolHTTP1     = "http/1.1"
	protocolChallenge = "acme-tls/1" // RFC 8737: an authority looks at the certificate and leaves
)

// TLSConfig returns a configuration for TLS 1.2 and 1.3 with Go's default suites. A name without a certificate gets the
// alert unrecognized_name.
func TLSConfig(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{protocolHTTP2, protocolHTTP1, protocolChallenge},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := certificate(hello)
			if w, ok := hello.Conn.(wireConn); ok && cert != nil {
				w.c.leaf = cert.Leaf
			}
			return cert, err
		},
	}
}

// Handshake turns the connection into one of TLS. It returns false if that fails, and the connection is closed. The
// server then reads it like a connection in clear, through the same guard, which recognizes HTTP/2.
func (c *Conn) Handshake(ctx context.Context, conf *tls.Config, limit time.Duration, log *slog.Logger) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn := tls.Server(wireConn{c}, conf)
	err := conn.HandshakeContext(ctx)
	st := conn.ConnectionState()
	c.tls, c.name = conn, table.NormalHost(st.ServerName)
	if err != nil {
		log.Debug("handshake failed", "client", c.RemoteAddr(), "name", st.ServerName, "err", err)
	}
	if err != nil || st.NegotiatedProtocol == protocolChallenge {
		_ = c.Close()
		return false
	}
	return true
}

// wireConn is what TLS reads from and writes to: the socket, under the limits of a connection in clear.
type wireConn struct{ c *Conn }

// goodbyeTime is how long closing a connection may take.
const goodbyeTime = 100 * time.Millisecond

func (w wireConn) Read(b []byte) (int, error)        { return w.c.TCPConn.Read(b) }
func (w wireConn) Close() error                      { return w.c.TCPConn.Close() }
func (w wireConn) LocalAddr() net.Addr               { return w.c.TCPConn.LocalAddr() }
func (w wireConn) RemoteAddr() net.Addr              { return w.c.TCPConn.RemoteAddr() }
func (w wireConn) SetDeadline(t time.Time) error     { return w.c.TCPConn.SetDeadline(t) }
func (w wireConn) SetReadDeadline(t time.Time) error { return w.c.TCPConn.SetReadDeadline(t) }
func (w wireConn) SetWriteDeadline(t time.Time) error {
	if at := time.Now().Add(goodbyeTime); w.c.ending.Load() && t.After(at) {
		t = at // don't wait longer for a client that doesn't even take the goodbye
	}
	return w.c.TCPConn.SetWriteDeadline(t)
}

func (w wireConn) Write(b []byte) (int, error) {
	if w.c.ending.Load() {
		return w.c.TCPConn.Write(b)
	}
	return w.c.send(b)
}

// The TCP connection's own shortcuts would go around TLS.

// ReadFrom writes what it reads from r.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if c.tls != nil {
		return io.Copy(c.tls, r)
	}
	return c.TCPConn.ReadFrom(r)
}

// WriteTo writes what comes in to w.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	if c.tls != nil {
		return io.Copy(w, struct{ io.Reader }{c})
	}
	n, err := w.Write(c.early)
	if c.early = nil; err != nil {
		return int64(n), err
	}
	rest, err := c.TCPConn.WriteTo(w)
	return int64(n) + rest, err
}

// CloseWrite ends the connection's outgoing side.
func (c *Conn) CloseWrite() error {
	if c.tls != nil {
		if err := c.tls.CloseWrite(); err != nil {
			return err
		}
	}
	return c.TCPConn.CloseWrite()
}

// Encrypted reports whether the connection uses TLS.
func (c *Conn) Encrypted() bool { return c.tls != nil }

// Covers reports whether requests for the host may come on the connection: for the name that the client asked for in
// its handshake, and for the other names of the certificate that it was shown, because browsers use one connection for
// all names of a certificate.
func (c *Conn) Covers(host string) bool {
	return c.tls == nil || host == c.name || c.leaf != nil && c.leaf.VerifyHostname(host) == nil
}
