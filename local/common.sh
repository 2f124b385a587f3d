# shellcheck shell=bash
# What the scripts in this folder share. Sourced, never run.

# Read by the scripts that source this file.
# shellcheck disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What the scripts download: `cargo clean` removes it with the rest.
tools=$root/target/tools

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

# python_tools: a Python environment of the project's own, $tools/python, for programs that PyPI carries ready to run.
python_tools() {
  [ -x "$tools/python/bin/pip" ] && return
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages Python python3 python3-venv
  mkdir -p "$tools"
  python3 -m venv "$tools/python" || fail 'python3 could not make an environment: install python3-venv.'
}

# pip ARGUMENT...: quietly, with the versions of local/python-tools.txt. Not the program `pip`, which has the folder in it
# where it was made, and would install there when the folder was copied.
pip() {
  python_tools
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$tools/python/bin/python3" -m pip --quiet "$@" --constraint "$root/local/python-tools.txt" >&2 ||
    fail "pip could not $*: check the network and try again."
}

# python_tool_version NAME: the version that local/python-tools.txt asks for.
python_tool_version() { sed -n "s/^$1==//p" "$root/local/python-tools.txt"; }

# fetch_npm_package NAME VERSION SHA256 DIRECTORY: unpacks a package without running any script of its own.
fetch_npm_package() {
  local name=$1 version=$2 sha256=$3 directory=$4 download
  [ -d "$directory" ] && return
  have npm || install_packages npm npm
  mkdir -p "$tools"
  download=$(mktemp -d "$tools/download.XXXXXX")
  (cd "$download" && npm pack --loglevel=error "$name@$version" >/dev/null) ||
    fail "npm could not download $name@$version: check the network and try again."
  echo "$sha256  $(echo "$download"/*.tgz)" | sha256sum --check --status ||
    fail "$name@$version is not the archive that was reviewed: its SHA-256 is not $sha256."
  tar -xzf "$download"/*.tgz -C "$download" --no-same-owner
  # Moved into place whole: an interrupted download leaves nothing that looks complete.
  mv "$download/package" "$directory"
  rm -r "$download"
}
