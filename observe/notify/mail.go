package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"rhumb/observe"
)

// deliver sends a mail. Without TLS it says nothing to another machine.
func (e *endpoint) deliver(ctx context.Context, r request) error {
	conn, err := e.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	c, err := smtp.NewClient(conn, e.host)
	if err != nil {
		return reply(err)
	}
	defer func() { _ = c.Close() }() // it may be closed already
	if err := e.login(c); err != nil {
		return reply(err)
	}
	return reply(e.write(c, r))
}

func (e *endpoint) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime}
	if !e.tls {
		return d.DialContext(ctx, "tcp", e.address)
	}
	td := tls.Dialer{NetDialer: &d, Config: &tls.Config{ServerName: e.host, MinVersion: tls.VersionTLS12}}
	return td.DialContext(ctx, "tcp", e.address)
}

// login begins the session: TLS first, then the password.
func (e *endpoint) login(c *smtp.Client) error {
	_, domain, _ := strings.Cut(e.from, "@")
	if err := c.Hello(domain); err != nil {
		return err
	}
	if !e.tls {
		switch ok, _ := c.Extension("STARTTLS"); {
		case ok:
			if err := c.StartTLS(&tls.Config{ServerName: e.host, MinVersion: tls.VersionTLS12}); err != nil {
				return err
			}
		case !loopback(e.host):
			return &refusal{text: "the mail server offers no TLS: nothing is sent", final: true}
		}
	}
	if e.user == "" {
		return nil
	}
	switch ok, mechanisms := c.Extension("AUTH"); {
	case !ok:
		return &refusal{text: "the mail server takes no password", final: true}
	case strings.Contains(" "+mechanisms+" ", " PLAIN "):
		return c.Auth(smtp.PlainAuth("", e.user, e.password, e.host))
	case strings.Contains(" "+mechanisms+" ", " LOGIN "):
		return c.Auth(loginAuth{e.user, e.password})
	default:
		return &refusal{text: "the mail server offers neither PLAIN nor LOGIN", final: true}
	}
}

// loginAuth is the mechanism LOGIN, which some servers offer alone. TLS, or the loopback, protects the password.
type loginAuth struct{ user, password string }

// Start implements smtp.Auth.
func (a loginAuth) Start(*smtp.ServerInfo) (string, []byte, error) { return "LOGIN", nil, nil }

// Next implements smtp.Auth.
func (a loginAuth) Next(question []byte, more bool) ([]byte, error) {
	switch strings.ToLower(strings.TrimRight(string(question), ": ")) {
	case "username", "user name":
		return []byte(a.user), nil
	case "password":
		return []byte(a.password), nil
	}
	if !more {
		return nil, nil
	}
	return nil, errors.New("the mail server asks for neither user nor password")
}

// write sends the mail itself.
func (e *endpoint) write(c *smtp.Client, r request) error {
	if err := c.Mail(e.from); err != nil {
		return err
	}
	for _, to := range e.to {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(e.letter(r)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the mail was taken already
	return nil
}

// letter returns the mail with its headers. The subject is encoded, so that it can't become another header. Mails of
// one incident are shown together.
func (e *endpoint) letter(r request) []byte {
	var b bytes.Buffer
	_, domain, _ := strings.Cut(e.from, "@")
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", "<"+e.from+">")
	header("To", "<"+strings.Join(e.to, ">, <")+">")
	header("Subject", mime.QEncoding.Encode("utf-8", observe.OneLine(r.subject, maxTitle)))
	header("Date", r.at.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	header("Message-ID", "<"+rand.Text()+"@"+domain+">")
	if id := labelLetters.ReplaceAllString(r.incident, "-"); id != "" {
		header("References", "<"+id+".incident@"+domain+">")
	}
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	_, _ = q.Write(bytes.ReplaceAll(r.body, []byte("\n"), []byte("\r\n"))) // to memory
	_ = q.Close()
	return b.Bytes()
}

// reply returns what an error of a mail server means: codes from 500 on are final.
func reply(err error) error {
	var code *textproto.Error
	if errors.As(err, &code) {
		return &refusal{text: fmt.Sprintf("the mail server answers %d: %s", code.Code, observe.OneLine(code.Msg, maxShown)),
			final: code.Code >= 500}
	}
	return err
}
