# Makes the data folder at the first start, sets the password from the secret, and becomes PostgreSQL.
set -eu
data=/var/lib/postgresql/data/15
secret=/run/secrets/db_password

# A killed server leaves its pid file with pid 1 behind. That is also the pid of this shell, so PostgreSQL would take
# the shell for a running server and refuse to start. This variable names the shell as its grandparent.
export PG_GRANDPARENT_PID=$$

# single runs SQL without a server. A quote in the password is doubled.
single() { postgres --single -D "$1" "$2" >/dev/null; }
password() { echo "ALTER ROLE guestbook PASSWORD '$(sed "s/'/''/g" $secret)';"; }

if [ ! -d "$data" ]; then
	# Makes the folder elsewhere and then moves it, so that an interrupted start leaves no incomplete folder.
	rm -rf "$data.new"
	initdb --username=guestbook --pwfile=$secret --auth-local=trust --auth-host=scram-sha-256 -D "$data.new" >/dev/null
	echo "host all all all scram-sha-256" >>"$data.new/pg_hba.conf"
	echo "CREATE DATABASE guestbook;" | single "$data.new" postgres
	sha256sum $secret >"$data.new/password.sum"
	mv "$data.new" "$data"
	echo "the data folder is made"
elif ! sha256sum --status --check "$data/password.sum"; then
	password | single "$data" postgres
	sha256sum $secret >"$data/password.sum"
	echo "the password is changed"
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=100
