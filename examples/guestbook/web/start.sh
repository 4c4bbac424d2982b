# Writes down what the page shows of its own release, and becomes nginx.
set -eu
mkdir -p /run/page
printf '{"release": "%s", "replica": "%s"}\n' "${APP_VERSION:-?}" "$(hostname)" >/run/page/whoami.json
exec nginx -g 'daemon off;'
