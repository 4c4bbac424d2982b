package machine

import (
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"testing"
)

// net/http quotes data from an idle connection in a message to the standard logger.
func TestQuotesOfLibrariesAreNotLogged(t *testing.T) {
	lines, w := io.Pipe()
	newLog(w, "json", nil)
	t.Cleanup(func() {
		log.SetOutput(os.Stderr)
		log.SetFlags(log.LstdFlags)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	idle := make(chan struct{})
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-idle
		io.WriteString(c, "password=SECRET")
		io.Copy(io.Discard, c)
	}()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	close(idle)
	var line struct{ Level, Msg, Text string }
	if err := json.NewDecoder(lines).Decode(&line); err != nil {
		t.Fatal(err)
	}
	want := "Unsolicited response received on idle HTTP channel starting with"
	if line.Text != want || line.Level != "INFO" || line.Msg == "" {
		t.Errorf("logged %+v, not %q", line, want)
	}
}
