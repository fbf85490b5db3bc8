#!/usr/bin/env bash
# Makes everything that building and testing need, from the package registries alone.
#
#   tools/setup.sh            everything
#   tools/setup.sh toolkit    what the devnet and the demo need (no test environment)
#   tools/setup.sh uv         only uv, which resolves the locks
#   tools/setup.sh analysis   only .venv-analysis: Slither, a program of its own, which nothing imports
#   tools/setup.sh proofs     only .venv-proofs: Halmos, likewise, and its solvers
#   tools/setup.sh kubo       only build/bin/ipfs, the Kubo that content tests run against, where there is Go and no ipfs
#
# PYTHON=…        the interpreter to use (3.11 or 3.12)
# QUORATE_SOLC=…  auto (default), native or wasm
#
# A step runs again only when its inputs changed; each step that downloads is tried twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$@" >&2; exit 1; }

retry() {
  "$@" && return
  say "failed, trying once more: $*"
  sleep 3
  "$@"
}

# --- what must be there ------------------------------------------------------------------------

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

find_python() {
  local candidate version seen=""
  for candidate in ${PYTHON:-python3.11 python3.12 python3 python}; do
    version=$(python_version "$candidate") || continue
    case $version in
      3.11 | 3.12)
        # Not the one of an active environment, which may be the one we are about to replace.
        "$candidate" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
        return ;;
      *) seen="$seen $candidate is $version;" ;;
    esac
  done
  if [ -n "${PYTHON:-}" ] && [ -z "$seen" ]; then
    die "PYTHON=$PYTHON does not run. Give the path of a Python 3.11 or 3.12."
  elif [ -z "$seen" ]; then
    die "Python is not installed, and 3.11 or 3.12 is needed." "$PYTHON_HELP"
  fi
  die "Python 3.11 or 3.12 is needed; found:$seen newer ones are too new for ape, older ones too old." "$PYTHON_HELP"
}

PYTHON_HELP="Get it with: apt-get install python3.11 python3.11-venv (Debian 12), apt-get install python3.12 python3.12-venv (Ubuntu 24.04), brew install python@3.12 (macOS), or pyenv install 3.12. Elsewhere installed? Run: PYTHON=/path/to/python3.12 make setup"

need_program() { command -v "$1" >/dev/null 2>&1 || die "$1 is not installed. $2"; }

check_tools() {
  need_program git "Get it with: apt-get install git (Debian, Ubuntu) or xcode-select --install (macOS)."
  local help="Get Node 20 or newer with npm: apt-get install nodejs npm (Debian 13), brew install node (macOS), nvm install 20, or from nodejs.org."
  need_program node "$help"
  need_program npm "$help"
  local version
  version=$(node --version)
  version=${version#v}
  [ "${version%%.*}" -ge 20 ] || die "Node $version is too old; 20 or newer is needed." "$help"
}

# --- stamps: a step is done when its stamp holds the hash of its inputs ------------------------

digest() { { printf '%s\n' "$ROOT" "$@"; cat "$@" 2>/dev/null || true; } | sha256sum | cut -d' ' -f1; }
done_before() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

if ! command -v sha256sum >/dev/null 2>&1; then
  sha256sum() { shasum -a 256; }
fi

# --- steps -------------------------------------------------------------------------------------

export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
UV=$ROOT/build/uv/bin/uv

# uv does not read pip's configuration; a mirror named there is meant for us too.
use_pip_mirror() {
  [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || return 0
  local mirror=${PIP_INDEX_URL:-}
  [ -n "$mirror" ] || mirror=$(build/uv/bin/python -m pip config get global.index-url 2>/dev/null || true)
  [ -z "$mirror" ] || export UV_DEFAULT_INDEX=$mirror
}

make_uv() {
  local stamp=build/uv/.stamp wanted
  wanted=$(digest requirements/bootstrap.txt "$PY")
  done_before $stamp "$wanted" && [ -x "$UV" ] && return
  say "installing uv"
  rm -rf build/uv
  mkdir -p build
  "$PY" -m venv build/uv >/dev/null 2>&1 ||
    die "$PY cannot make a virtual environment." "Get its venv module: apt-get install python$(python_version "$PY")-venv (Debian, Ubuntu)."
  retry build/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r requirements/bootstrap.txt
  echo "$wanted" >$stamp
}

# make_env FOLDER LOCK: exactly the packages of the lock, and this checkout as an editable package.
make_env() {
  local env=$1 lock=$2 wanted
  wanted=$(digest "$lock" requirements/sdist-build.txt pyproject.toml "$PY")
  done_before "$env/.stamp" "$wanted" && [ -x "$env/bin/python" ] && return
  say "installing $lock into $env"
  use_pip_mirror
  if [ ! -x "$env/bin/python" ] || [ "$(python_version "$env/bin/python")" != "$(python_version "$PY")" ] ||
    ! grep -qs "$ROOT/$env" "$env/bin/activate"; then
    rm -rf "$env"
    "$UV" venv --quiet --python "$PY" "$env"
  fi
  rm -f "$env/.stamp"
  retry "$UV" pip sync --quiet --python "$env" --require-hashes \
    --build-constraints requirements/sdist-build.txt "$lock"
  "$UV" pip install --quiet --python "$env" --no-deps --no-build-isolation --editable .
  echo "$wanted" >"$env/.stamp"
}

# make_program_env NAME: a development program that stays apart, from requirements/NAME.txt alone.
make_program_env() {
  local env=.venv-$1 lock=requirements/$1.txt wanted
  wanted=$(digest "$lock" requirements/sdist-build.txt "$PY")
  done_before "$env/.stamp" "$wanted" && [ -x "$env/bin/python" ] && return
  say "installing $lock into $env"
  use_pip_mirror
  rm -rf "$env"
  "$UV" venv --quiet --python "$PY" "$env"
  retry "$UV" pip sync --quiet --python "$env" --require-hashes \
    --build-constraints requirements/sdist-build.txt "$lock"
  echo "$wanted" >"$env/.stamp"
}

# Whoever runs `ape` or `quorate` from .venv, activated or not, gets our compiler and our anvil.
link_tools() {
  local site
  site=$(echo .venv/lib/python3*/site-packages)
  cp tools/quorate_tools.py "$site/_quorate_tools.py"
  echo "import _quorate_tools; _quorate_tools.use('$ROOT')" >"$site/quorate_tools.pth"
}

make_node_modules() {
  local stamp=node_modules/.stamp wanted
  wanted=$(digest package.json package-lock.json)
  done_before $stamp "$wanted" && return
  say "installing node_modules"
  retry npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
  echo "$wanted" >$stamp
}

# npm's wrappers around Foundry's programs lose the exit code (a failed `forge test` returns 0) and
# leave the child behind when killed, so the programs themselves go on PATH.
link_foundry() {
  local tool binary
  mkdir -p build/bin
  for tool in forge cast anvil; do
    binary=$(echo node_modules/@foundry-rs/$tool-*/bin/$tool)
    [ -x "$binary" ] || die "npm installed no $tool for this platform ($(uname -sm)): Linux and macOS on x86-64 and arm64 are supported." \
      "On one of those, delete node_modules and run the set-up again."
    [ "$(readlink "build/bin/$tool" 2>/dev/null)" = "../../$binary" ] || ln -sfn "../../$binary" "build/bin/$tool"
  done
}

make_solc() {
  local stamp=build/bin/.solc-stamp wanted
  wanted=$(digest package-lock.json tools/install_solc.py "${QUORATE_SOLC:-auto}")
  done_before $stamp "$wanted" && [ -x "build/bin/solc-v$SOLC" ] && return
  .venv/bin/python tools/install_solc.py --version "$SOLC" --source "${QUORATE_SOLC:-auto}"
  echo "$wanted" >$stamp
}

# Minutes of work, of which nothing is needed but by the content suite: at the lowest priority.
make_kubo() {
  local stamp=build/bin/.kubo-stamp wanted needed found proxy
  wanted=$(digest tools/kubo/go.mod tools/kubo/go.sum tools/kubo/tools.go)
  done_before $stamp "$wanted" && [ -x build/bin/ipfs ] && return
  found=$(command -v ipfs || true)
  if [ -n "$found" ] && [ "$found" != "$ROOT/build/bin/ipfs" ]; then say "content tests use $found"; return; fi
  needed=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' tools/kubo/go.mod)
  found=$(go env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9]*\.[0-9]*\).*/\1/p')
  if [ "$(printf '%s\n' "$needed" "${found:-0}" | sort -V | head -1)" != "$needed" ]; then
    say "no Go $needed (found: ${found:-none}) and no ipfs: tests against a real Kubo are skipped"
    return
  fi
  say "building Kubo"
  mkdir -p build/bin
  proxy=$(go env GOPROXY)
  GOPROXY=${proxy%,direct} GOFLAGS='' GOTOOLCHAIN=local retry nice -n 19 go -C tools/kubo build -trimpath -buildvcs=false -ldflags '-s -w' \
    -o "$ROOT/build/bin/ipfs" github.com/ipfs/kubo/cmd/ipfs ||
    { say "Kubo could not be built: tests against a real one are skipped"; return; }
  echo "$wanted" >$stamp
}

[ "${1:-all}" != kubo ] || { make_kubo; exit 0; }
PY=$(find_python)
SOLC=$(sed -n 's/^  version: \([0-9.]*\)$/\1/p' ape-config.yaml)
check_tools
make_uv
[ "${1:-all}" != uv ] || exit 0
case ${1:-all} in analysis | proofs) make_program_env "$1"; exit 0 ;; esac
make_env .venv requirements/dev.txt
link_tools
[ "${1:-all}" = toolkit ] || make_env .venv-base requirements/base-test.txt
make_node_modules
link_foundry
make_solc
