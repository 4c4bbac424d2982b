package protocol

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAnswer is how much of an answer is read. An answer of Elasticsearch has some bytes for each line.
const maxAnswer = 16 << 20

// maxAfter bounds how long a receiver may want us to wait.
const maxAfter = time.Hour

// format is how lines are sent over HTTP.
type format interface {
	// contentType returns the type of what encode returns.
	contentType() string
	// encode returns lines as the body of a request.
	encode(lines []Line) []byte
	// retry reports whether a request with this status, which isn't 2xx, may be sent again.
	retry(status int) bool
	// accept returns what became of lines that were answered with a 2xx status.
	accept(lines []Line, answer []byte) Result
}

// poster sends lines in requests over HTTP.
type poster struct {
	format
	config Config
	url    string
	client *http.Client
}

// newPoster returns a poster to the configuration's path, or to another path.
func newPoster(c Config, tlsConfig *tls.Config, path string, f format) *poster {
	scheme := "http://"
	if tlsConfig != nil {
		scheme = "https://"
	}
	if path == "" {
		path = c.Path
	}
	return &poster{format: f, config: c, url: scheme + c.Address + path, client: &http.Client{
		Timeout: sendTimeout,
		Transport: &http.Transport{
			DialContext:       (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig:   tlsConfig,
			ForceAttemptHTTP2: true,
			MaxIdleConns:      1,
			IdleConnTimeout:   time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close implements Sender.
func (p *poster) Close() { p.client.CloseIdleConnections() }

// Send implements Sender.
func (p *poster) Send(ctx context.Context, lines []Line) Result {
	status, header, answer, err := p.post(ctx, p.encode(lines))
	if err != nil {
		return Result{Left: lines, Err: p.scrub(err)}
	}
	if status/100 == 2 {
		r := p.accept(lines, answer)
		if r.Err != nil {
			r.Err = p.scrub(r.Err)
		}
		return r
	}
	err = p.scrub(fmt.Errorf("the receiver answers %d %s: %s", status, http.StatusText(status), excerpt(answer)))
	switch {
	case status == http.StatusRequestEntityTooLarge && len(lines) > 1:
		half := len(lines) / 2
		r := p.Send(ctx, lines[:half:half])
		r.Left = slices.Concat(r.Left, lines[half:])
		return r
	case p.retry(status) || misconfigured(status):
		return Result{Left: lines, Err: err, After: retryAfter(header.Get("Retry-After"))}
	}
	return Result{Refused: len(lines), Err: err}
}

// misconfigured reports whether a status is about the URL or the credentials, not about the lines. Lines wait until
// they are put right.
func misconfigured(status int) bool {
	return status/100 == 3 || slices.Contains([]int{401, 402, 403, 404, 405, 407}, status)
}

// post sends a request and returns the answer.
func (p *poster) post(ctx context.Context, body []byte) (status int, header http.Header, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(zip(body)))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", p.contentType())
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("User-Agent", "rhumb")
	for name, values := range p.config.Header {
		req.Header[name] = values
	}
	if p.config.User != "" {
		req.SetBasicAuth(p.config.User, p.config.Password)
	}
	if p.config.TokenFile != "" { // read each time: the file may be renewed
		token, err := p.config.secret(p.config.TokenFile)
		if err != nil {
			return 0, nil, nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	return resp.StatusCode, resp.Header, answer, nil
}

// scrub removes secrets from an error's text: a receiver may repeat them in its answer.
func (p *poster) scrub(err error) error {
	text := err.Error()
	secrets := []string{p.config.Password}
	for _, values := range p.config.Header {
		secrets = append(secrets, values...)
	}
	if p.config.TokenFile != "" {
		if token, err := p.config.secret(p.config.TokenFile); err == nil {
			secrets = append(secrets, token)
		}
	}
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// excerpt returns the beginning of an answer in one line.
func excerpt(answer []byte) string {
	s := strings.Join(strings.Fields(valid(string(answer[:min(len(answer), 300)]))), " ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// retryAfter reads a header: seconds, or a date. It returns 0 if it is empty or can't be read.
func retryAfter(value string) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), maxAfter)
}
