# shellcheck shell=bash
# Functions shared by the scripts. Source this file; do not run it.

# Read by the scripts that source this file.
# shellcheck disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Holds everything that the scripts download. `cargo clean` removes it too.
tools=$root/target/tools

# fail MESSAGE: exits with status 1. The message says what to do.
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_packages WHY PACKAGE...: installs packages of the distribution. WHY names what is missing.
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

# python_tools: creates the project's own Python environment, $tools/python, for programs from PyPI.
python_tools() {
  [ -x "$tools/python/bin/pip" ] && return
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages Python python3 python3-venv
  mkdir -p "$tools"
  python3 -m venv "$tools/python" || fail 'python3 could not create a virtual environment: install python3-venv.'
}

# pip_install PACKAGE: installs a package of local/python-tools.txt and everything that it needs, in the versions and with the
# hashes of its file in local/python-tools. Does not use the `pip` program: it contains the absolute path of its environment,
# and in a copied folder would install into the original one.
pip_install() {
  local lock=$root/local/python-tools/$1.txt
  [ -e "$lock" ] || fail "local/python-tools has no file for $1: run local/lock-python-tools."
  python_tools
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$tools/python/bin/python3" -m pip --quiet install --no-deps --require-hashes \
    --requirement "$lock" >&2 ||
    fail "pip could not install $1: check the network and try again."
}

# python_tool_version NAME: prints the version pinned in local/python-tools.txt.
python_tool_version() { sed -n "s/^$1\(\[[a-z]*\]\)\{0,1\}==//p" "$root/local/python-tools.txt"; }

# fetch_npm_package NAME VERSION SHA256 DIRECTORY: downloads and unpacks a package without running its install scripts.
fetch_npm_package() {
  local name=$1 version=$2 sha256=$3 directory=$4 download
  [ -d "$directory" ] && return
  have npm || install_packages npm npm
  mkdir -p "$tools"
  download=$(mktemp -d "$tools/download.XXXXXX")
  (cd "$download" && npm pack --loglevel=error "$name@$version" >/dev/null) ||
    fail "npm could not download $name@$version: check the network and try again."
  echo "$sha256  $(echo "$download"/*.tgz)" | sha256sum --check --status ||
    fail "$name@$version is not the reviewed archive: its SHA-256 is not $sha256."
  tar -xzf "$download"/*.tgz -C "$download" --no-same-owner
  # Moved into place as a whole, so that an interrupted download never looks complete.
  mv "$download/package" "$directory"
  rm -r "$download"
}

# postgres_image, dynamodb_image: print the images of the database servers.
postgres_image() { sed -n 's/.*{POSTGRES_IMAGE:-\(.*\)}.*/\1/p' "$root/local/docker-compose.yml"; }
dynamodb_image() { echo amazon/dynamodb-local:1.25.1; }

# has_image IMAGE: whether the Docker engine has this image or can pull it. Says why not.
has_image() {
  local reason
  docker image inspect "$1" >/dev/null 2>&1 && return
  reason=$(docker pull --quiet "$1" 2>&1 >/dev/null) && return
  printf 'docker has no image %s and cannot pull it (%s)\n' "$1" "${reason##*$'\n'}" >&2
  return 1
}

# dynamodb_package: prints the folder of DynamoDB Local, and first downloads it if it is missing.
dynamodb_package() {
  local version=2.9.30
  local package=$tools/amplify-dynamodb-simulator-$version
  fetch_npm_package amplify-dynamodb-simulator "$version" \
    3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9 "$package"
  echo "$package"
}

# lambda_architecture: prints what AWS Lambda calls the architecture of this machine.
lambda_architecture() {
  case $(uname -m) in
    x86_64) echo x86_64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) fail "AWS Lambda has no architecture $(uname -m)." ;;
  esac
}

# python_program NAME [PACKAGE]: prints the path of a program from PyPI, and first installs its package if it is missing or has
# another version.
python_program() {
  local package=${2:-$1}
  # Looking for the folder is faster than running pip.
  [ -d "$(echo "$tools"/python/lib/python*/site-packages)/${package//-/_}-$(python_tool_version "$package").dist-info" ] ||
    pip_install "$package"
  echo "$tools/python/bin/$1"
}
