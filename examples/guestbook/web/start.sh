# Writes the release for the page to show, and becomes nginx.
set -eu
mkdir -p /run/page
printf '{"release": "%s", "replica": "%s"}\n' "${APP_VERSION:-?}" "$(hostname)" >/run/page/whoami.json
exec nginx -g 'daemon off;'
