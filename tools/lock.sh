#!/usr/bin/env bash
# Resolves each set on its own: one common resolution would give the base install ape's old
# releases. No index address goes into the result. Give --upgrade to move to newer releases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export UV_CUSTOM_COMPILE_COMMAND="make lock" UV_PYTHON_DOWNLOADS=never

compile() {
  build/uv/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 "$@"
}

compile "$@" pyproject.toml --output-file requirements/base.txt
compile "$@" pyproject.toml --extra toolkit --extra data --output-file requirements/toolkit.txt
compile "$@" pyproject.toml --extra data requirements/test.in requirements/build.in \
  --constraints requirements/base.txt --output-file requirements/base-test.txt
compile "$@" pyproject.toml --extra toolkit --extra data requirements/dev.in requirements/build.in \
  --constraints requirements/toolkit.txt --output-file requirements/dev.txt
compile "$@" requirements/analysis.in --output-file requirements/analysis.txt
compile "$@" requirements/proofs.in --output-file requirements/proofs.txt
compile requirements/sdist-build.in --output-file requirements/sdist-build.txt
compile requirements/bootstrap.in --output-file requirements/bootstrap.txt
for folder in . bench/unixfs; do
  npm install --prefix "$folder" --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
done
