#!/usr/bin/env bash
# Linters, types and formats, and that nothing generated is stale. All run; any failure fails.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.venv/bin:$PWD/build/bin:$PATH
export SOLCX_BINARY_PATH=$PWD/build/bin APE_DATA_FOLDER=${APE_DATA_FOLDER:-$PWD/build/ape}

failed=()
check() {
  local name=$1
  shift
  printf '=== %s\n' "$name"
  "$@" || failed+=("$name")
}

existing() {
  local folder
  for folder in "$@"; do if [ -n "$(find "$folder" -name "$PATTERN" -print -quit 2>/dev/null)" ]; then echo "$folder"; fi; done
}

PATTERN='*.py'
mapfile -t python < <(existing nodeagent scripts bench lab tools tests)
mapfile -t typed < <(existing nodeagent scripts bench lab tools)
PATTERN='*.sol'
mapfile -t solidity < <(existing contracts tests)

check "ruff check" ruff check "${python[@]}"
check "ruff format" ruff format --check "${python[@]}"
check "mypy" mypy --strict "${typed[@]}"
[ ${#solidity[@]} -eq 0 ] || check "forge fmt" forge fmt --check "${solidity[@]}"
check "configuration" python tools/check_config.py
[ ! -f scripts/export_abi.py ] || check "exported ABIs" python scripts/export_abi.py --check

if [ ${#failed[@]} -gt 0 ]; then
  printf 'lint: failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "lint: all passed"
