#!/bin/sh
# install.sh downloads a release of rhumb, verifies it, and installs the program. It starts nothing: "rhumb install"
# does.
#
#   sh install.sh [--version VERSION] [--from URL|FOLDER] [--to FOLDER]
#
# --version is needed only if SHA256SUMS has several versions.
# --from is where the release's files are: a URL, or a local folder (default: the folder of this script).
# --to is the folder for the program (default /usr/local/bin).
set -eu

from=$(cd "$(dirname "$0")" 2>/dev/null && pwd || echo .)
to=/usr/local/bin
version=

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || fail "usage: sh install.sh [--version VERSION] [--from URL|FOLDER] [--to FOLDER]"
	case $1 in
	--version) version=$2 ;;
	--from) from=${2%/} ;;
	--to) to=$2 ;;
	*) fail "unknown option: $1" ;;
	esac
	shift 2
done

case $(uname -s)/$(uname -m) in
Linux/x86_64 | Linux/amd64) machine=amd64 ;;
Linux/aarch64 | Linux/arm64) machine=arm64 ;;
*) fail "there is no release for $(uname -s) on $(uname -m)" ;;
esac
command -v sha256sum >/dev/null ||
	fail "sha256sum is missing (package coreutils): the release can't be verified without it"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# get copies one of the release's files into the work folder.
get() {
	case $from in
	https://* | http://*)
		if command -v curl >/dev/null; then
			only="=https,http"
			case $from in https://*) only="=https" ;; esac # follow no redirect to plain HTTP
			curl --fail --silent --show-error --location --proto "$only" --max-time 600 \
				--output "$work/$1" "$from/$1" || fail "$from/$1 can't be downloaded"
		elif command -v wget >/dev/null; then
			wget -q -T 60 -O "$work/$1" "$from/$1" || fail "$from/$1 can't be downloaded"
		else
			fail "curl or wget is needed to download $from/$1"
		fi
		;;
	*) cp "$from/$1" "$work/$1" 2>/dev/null || fail "there is no $from/$1" ;;
	esac
}

get SHA256SUMS
if [ -z "$version" ]; then # the one in SHA256SUMS
	version=$(sed -n "s/^[0-9a-f]\{64\}  rhumb_\(.*\)_linux_$machine\.tar\.gz\$/\1/p" "$work/SHA256SUMS")
	[ -n "$version" ] || fail "$from has no release for $machine"
fi
name=rhumb_${version}_linux_$machine
get "$name.tar.gz"

# Exactly one line must name the archive, with the archive's checksum.
grep -F "  $name.tar.gz" "$work/SHA256SUMS" | awk -v name="$name.tar.gz" '$2 == name' >"$work/sum"
[ "$(wc -l <"$work/sum")" -eq 1 ] || fail "SHA256SUMS doesn't name $name.tar.gz"
(cd "$work" && sha256sum --check --status --strict sum) ||
	fail "$name.tar.gz doesn't match SHA256SUMS: it is damaged or was changed; nothing was installed"

tar -xzf "$work/$name.tar.gz" -C "$work" "$name/rhumb" || fail "$name.tar.gz can't be unpacked"
answer=$("$work/$name/rhumb" version --client) || fail "the program does not run here"
mkdir -p "$to"
cp "$work/$name/rhumb" "$to/.rhumb.new" && chmod 755 "$to/.rhumb.new" && mv -f "$to/.rhumb.new" "$to/rhumb" ||
	fail "$to can't be written; run this as root, or choose another folder with --to"
echo "installed $to/rhumb: $answer"
if [ -e /etc/systemd/system/rhumb.service ]; then
	echo "The services still run the previous version: systemctl reload rhumb-proxy; systemctl restart rhumb"
	echo "Next time use rhumb upgrade $name.tar.gz, which goes back automatically if the new version isn't well."
else
	echo "Now install and start the services, as root: $to/rhumb install"
fi
