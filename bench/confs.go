package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The other proxies forward as rhumb does: with the fields about the client, and with kept connections to the replica.
// Each gets one thread.

const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// nginx returns its command.
func (s *site) nginx(binary string) (*exec.Cmd, error) {
	var b strings.Builder
	stream := ""
	if _, err := os.Stat(nginxStream); err == nil {
		fmt.Fprintf(&b, "load_module %s;\n", nginxStream)
		stream = fmt.Sprintf("stream { server { listen %s; proxy_pass %s; } }\n", s.TCP, s.Replica)
	}
	log := "off"
	if s.Log {
		log = filepath.Join(s.Dir, "access.log")
	}
	fmt.Fprintf(&b, `daemon off; master_process off; pid %[1]s/pid; worker_rlimit_nofile 4096;
events { worker_connections 2048; }
%[2]shttp {
  access_log %[3]s; keepalive_requests 1000000000; server_names_hash_max_size 8192; server_names_hash_bucket_size 128;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u;
  scgi_temp_path %[1]s/s; ssl_certificate %[4]s; ssl_certificate_key %[5]s;
  upstream shop { server %[6]s; keepalive 64; keepalive_requests 1000000000; }
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Proto $scheme;
`, s.Dir, stream, log, s.Cert, s.Key, s.Replica)
	for _, h := range s.Hosts {
		fmt.Fprintf(&b, "  server { listen %s; listen %s ssl http2; server_name %s;\n"+
			"    location / { proxy_pass http://shop; } }\n", s.HTTP, s.TLS, h)
	}
	b.WriteString("}\n")
	conf := filepath.Join(s.Dir, "nginx.conf")
	return exec.Command(binary, "-c", conf, "-p", s.Dir, "-e", filepath.Join(s.Dir, "error.log")),
		os.WriteFile(conf, []byte(b.String()), 0o644)
}

const haproxyConf = `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend web
  bind %[1]s
  bind %[2]s ssl crt %[3]s/both.pem alpn h2,http/1.1
  http-request set-header X-Real-IP %%[src]
  http-request set-header X-Forwarded-For %%[src]
  http-request set-header X-Forwarded-Host %%[req.hdr(host)]
  use_backend %%[req.hdr(host),lower,map(%[3]s/hosts)]
backend shop
  server a %[4]s
listen raw
  mode tcp
  bind %[5]s
  server a %[4]s
`

// haproxy returns its command.
func (s *site) haproxy(binary string) (*exec.Cmd, error) {
	both, err := os.ReadFile(s.Cert)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(s.Key)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"both.pem": string(both) + string(key),
		"hosts":       strings.Join(s.Hosts, " shop\n") + " shop\n",
		"haproxy.cfg": fmt.Sprintf(haproxyConf, s.HTTP, s.TLS, s.Dir, s.Replica, s.TCP)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return exec.Command(binary, "-db", "-f", filepath.Join(s.Dir, "haproxy.cfg")), nil
}

// caddy returns its command.
func (s *site) caddy(binary string) (*exec.Cmd, error) {
	var b strings.Builder
	b.WriteString("{\n\tadmin off\n\tauto_https off\n}\n")
	for _, h := range s.Hosts {
		fmt.Fprintf(&b, "http://%[1]s:%[2]s {\n\treverse_proxy %[3]s\n}\nhttps://%[1]s:%[4]s {\n\ttls %[5]s %[6]s\n"+
			"\treverse_proxy %[3]s\n}\n", h, portOf(s.HTTP), s.Replica, portOf(s.TLS), s.Cert, s.Key)
	}
	conf := filepath.Join(s.Dir, "Caddyfile")
	cmd := exec.Command(binary, "run", "--config", conf, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "HOME="+s.Dir, "XDG_DATA_HOME="+s.Dir, "XDG_CONFIG_HOME="+s.Dir)
	return cmd, os.WriteFile(conf, []byte(b.String()), 0o644)
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
