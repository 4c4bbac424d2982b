package notify

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

// mailServer is a small SMTP server. It keeps the conversation.
type mailServer struct {
	addr  string
	offer []string // extensions
	deny  string   // the command that gets a 550

	mu   sync.Mutex
	said []string // the client's lines
	work sync.WaitGroup
}

func startMail(t *testing.T, deny string, offer ...string) *mailServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{addr: ln.Addr().String(), offer: offer, deny: deny}
	s.work.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.work.Go(func() { s.talk(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.work.Wait()
	})
	return s
}

func (s *mailServer) talk(conn net.Conn) {
	defer conn.Close()
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 test")
	lines := bufio.NewScanner(conn)
	inData, login := false, 0
	for lines.Scan() {
		line := lines.Text()
		s.mu.Lock()
		s.said = append(s.said, line)
		s.mu.Unlock()
		command, _, _ := strings.Cut(line, " ")
		switch {
		case inData:
			if line == "." {
				inData = false
				say("250 taken")
			}
		case login > 0:
			login--
			say([]string{"235 ok", "334 " + base64.StdEncoding.EncodeToString([]byte("Password:"))}[login])
		case s.deny != "" && strings.HasPrefix(line, s.deny):
			say("550 no")
		case command == "EHLO":
			say("250-test")
			for _, o := range s.offer {
				say("250-" + o)
			}
			say("250 8BITMIME")
		case line == "AUTH LOGIN":
			login = 2
			say("334 " + base64.StdEncoding.EncodeToString([]byte("Username:")))
		case command == "AUTH":
			say("235 ok")
		case command == "STARTTLS":
			say("220 go on") // and then it speaks no TLS
		case command == "DATA":
			inData = true
			say("354 go on")
		case command == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// text returns what the client said.
func (s *mailServer) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\r\n")
}

func TestAMailArrivesWithItsHeadersAlone(t *testing.T) {
	for _, mechanism := range []string{"AUTH PLAIN LOGIN", "AUTH LOGIN"} {
		s := startMail(t, "", mechanism)
		r := of(t, "smtp://ada:secret12@"+s.addr+"/?from=rhumb@example.com&to=ops@example.com,b@example.com")
		if err := r.try(t.Context(), r.render(message(Firing))); err != nil {
			t.Fatal(err)
		}
		conversation := s.text()
		for _, want := range []string{"EHLO example.com", "MAIL FROM:<rhumb@example.com>", "RCPT TO:<ops@example.com>",
			"RCPT TO:<b@example.com>"} {
			if !strings.Contains(conversation, want) {
				t.Errorf("%q isn't in\n%s", want, conversation)
			}
		}
		password := base64.StdEncoding.EncodeToString([]byte("secret12"))
		if mechanism == "AUTH PLAIN LOGIN" {
			password = base64.StdEncoding.EncodeToString([]byte("\x00ada\x00secret12"))
		}
		if !strings.Contains(conversation, password) {
			t.Errorf("the password isn't in\n%s", conversation)
		}
		_, letter, _ := strings.Cut(conversation, "DATA\r\n")
		m, err := mail.ReadMessage(strings.NewReader(letter))
		if err != nil {
			t.Fatal(err)
		}
		to, _ := m.Header.AddressList("To")
		date, err := m.Header.Date()
		if len(m.Header) != 10 || m.Header.Get("Bcc") != "" || len(to) != 2 || err != nil || date.Year() != 2026 ||
			!strings.Contains(m.Header.Get("References"), "shop-1.incident@example.com") {
			t.Errorf("the headers are %v: %v", m.Header, err)
		}
		if subject := m.Header.Get("Subject"); !strings.HasPrefix(subject, "Alert: shop on host1") {
			t.Errorf("the subject is %q", subject)
		}
	}
}

func TestWithoutTLSAMailStaysHere(t *testing.T) {
	s := startMail(t, "", "AUTH PLAIN")
	e, err := parse("smtp://ada:secret12@mail.example.com/?from=a@b.c&to=d@b.c")
	if err != nil {
		t.Fatal(err)
	}
	e.address = s.addr
	err = e.deliver(t.Context(), request{})
	if err == nil || !strings.Contains(err.Error(), "offers no TLS") {
		t.Errorf("sent: %v", err)
	}
	if text := s.text(); strings.Contains(text, "AUTH") || strings.Contains(text, "MAIL") {
		t.Errorf("the server got\n%s", text)
	}
	s = startMail(t, "", "AUTH PLAIN", "STARTTLS")
	r := of(t, "smtp://ada:secret12@"+s.addr+"/?from=a@b.c&to=d@b.c")
	if err := r.try(t.Context(), r.render(message(Firing))); err == nil {
		t.Error("it is sent without the TLS that the server offers")
	}
	if text := s.text(); strings.Contains(text, "AUTH") || strings.Contains(text, "MAIL") {
		t.Errorf("the server got\n%s", text)
	}
}

func TestARefusedMailIsNotSentAgain(t *testing.T) {
	for _, deny := range []string{"MAIL", "RCPT", "DATA", "AUTH"} {
		s := startMail(t, deny, "AUTH PLAIN")
		r := of(t, "smtp://ada:secret12@"+s.addr+"/?from=a@b.c&to=d@b.c")
		err := r.try(t.Context(), r.render(message(Firing)))
		refused, ok := err.(*refusal)
		if !ok || !refused.final || !strings.Contains(r.status().LastError, "550") {
			t.Errorf("%s: %v", deny, err)
		}
	}
}
