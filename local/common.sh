# shellcheck shell=bash
# What the scripts in this folder share. Sourced, never run.

# Read by the scripts that source this file.
# shellcheck disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Ends the script with one sentence that tells the reader what to do.
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_packages WHY PACKAGE...: from the distribution, on a machine that lacks them.
install_packages() {
  local why=$1
  shift
  have apt-get || fail "$why is missing, and this machine has no apt-get: install it with your own package manager."
  printf 'installing %s for %s\n' "$*" "$why" >&2
  # RUNLEVEL=1 keeps a database package from starting a service of its own.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c '
    apt-get -qq -o DPkg::Lock::Timeout=120 update &&
      apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"' sh "$@" \
    >/dev/null || fail "apt-get could not install $*: install $why by hand and try again."
}

# fetch_npm_package NAME VERSION SHA256 DIRECTORY: unpacks a package without running any script of its own.
fetch_npm_package() {
  local name=$1 version=$2 sha256=$3 directory=$4 download archive
  [ -e "$directory/package.json" ] && return
  have npm || install_packages npm npm
  download=$(mktemp -d)
  (cd "$download" && npm pack --loglevel=error "$name@$version" >/dev/null) ||
    fail "npm could not download $name@$version: check the network and try again."
  archive=$(echo "$download"/*.tgz)
  echo "$sha256  $archive" | sha256sum --check --quiet >/dev/null 2>&1 ||
    fail "$name@$version is not the archive that was reviewed: its SHA-256 is not $sha256."
  mkdir -p "$directory"
  tar -xzf "$archive" -C "$directory" --strip-components=1 --no-same-owner
  rm -r "$download"
}
