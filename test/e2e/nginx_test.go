package e2e

// nginx returns the command of a service that runs nginx, which looks names up only once, with these lines in its http
// block. It closes no kept connection for its age, so that one that ends without an answer is rhumb's doing.
func nginx(http string) string {
	return `    command:
      - bash
      - -ec
      - |
        cat >/tmp/nginx.conf <<'END'
        daemon off; error_log /dev/stderr;
        events {}
        http {
          access_log off; keepalive_timeout 1h;
          ` + http + `
        }
        END
        exec nginx -c /tmp/nginx.conf
`
}

// beforeAPI are lines for nginx in front of a service named api, to which it keeps connections.
const beforeAPI = `upstream api { server api:8000; keepalive 8; }
          server { listen 80; location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; } }`
