package view

import (
	"fmt"
	"io"
	"time"

	"rhumb"
)

// Certificates prints a table of certificates and their states.
func Certificates(w io.Writer, list []rhumb.CertificateStatus) {
	t := newTable(paintOn(w), "HOST", "STACK", "SOURCE", "ISSUER", "VALID UNTIL", "STATE")
	for _, s := range list {
		t.add(certRow(s, time.Now())...)
	}
	t.print(w)
}

func certRow(s rhumb.CertificateStatus, now time.Time) []cell {
	until := "-"
	if !s.NotAfter.IsZero() {
		until = s.NotAfter.Local().Format(time.DateOnly)
	}
	issuer := s.Issuer
	if issuer == "" {
		issuer = "-"
	}
	text, code := certState(s, now)
	row := plain(s.Host, s.Stack, string(s.Source), issuer, until, text)
	row[5].code = code
	return row
}

// certState returns the state of a certificate and its colour.
func certState(s rhumb.CertificateStatus, now time.Time) (text, code string) {
	next := ""
	if s.Next.After(now) {
		next = ", again in " + rhumb.Span(s.Next.Sub(now))
	}
	switch {
	case s.Issuer == "" && s.Error == "":
		return "being obtained", ""
	case s.Issuer == "":
		return fmt.Sprintf("none: %s%s", s.Error, next), "31"
	case now.After(s.NotAfter):
		return fmt.Sprintf("expired %s ago%s%s", rhumb.Span(now.Sub(s.NotAfter)), said(s.Error), next), "31"
	case s.Error != "":
		return fmt.Sprintf("good for %s, renewal fails%s%s", rhumb.Span(s.NotAfter.Sub(now)), said(s.Error), next), "33"
	}
	return "good for " + rhumb.Span(s.NotAfter.Sub(now)), ""
}

func said(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}
