#!/usr/bin/env bash
# Runs the test suites named, or all of them, one after the other; a failure does not stop the rest.
# Each suite's skips are printed with their reasons and held against tools/allowed-skips.txt.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.venv/bin:$PWD/build/bin:$PATH
export SOLCX_BINARY_PATH=$PWD/build/bin APE_DATA_FOLDER=${APE_DATA_FOLDER:-$PWD/build/ape}
REPORTS=build/reports
GAS=tests/e2e/test_gas.py
CONTENT=tests/agent/content # needs nothing of the toolkit: once, without it, is enough
INTEROP=$CONTENT/interop # against a real Kubo
ESCAPE=tests/agent/runtimes/test_escape.py # starts hundreds of processes: once, without the toolkit, is enough
mkdir -p $REPORTS

results=()
failed=0
all= # whether nothing was named

# suite NAME PYTHON COMMAND…: runs the command, then checks its report for skips.
suite() {
  local name=$1 python=$2 start=$SECONDS rc=0 verdict=ok
  shift 2
  printf '\n=== %s\n' "$name"
  rm -f "$REPORTS/$name".{xml,log}
  "$@" || rc=$?
  [ $rc -eq 0 ] || verdict="FAILED (exit $rc)"
  if ! "$python" tools/check_skips.py "$REPORTS/$name".*; then
    [ $rc -ne 0 ] || verdict="FAILED (a skip that is not allowed, or no report)"
  fi
  [ "$verdict" = ok ] || failed=1
  results+=("$(printf '%-12s %5ss  %s' "$name" $((SECONDS - start)) "$verdict")")
}

has() { [ -d "$1" ] && [ -n "$(find "$1" -name "$2" -print -quit)" ]; }
absent() { results+=("$(printf '%-12s         no tests here yet' "$1")"); }

# What needs one processor for minutes and nothing of the others runs beside them: the compiler, the agent's suite without
# the toolkit, and gas, for which a chain of its own is enough.
start_ahead() {
  setsid forge test --list > "$REPORTS/compile.txt" 2>&1 &
  compiling=$!
  setsid tools/setup.sh kubo &
  building=$!
  ahead agent-base
}

# ahead SUITE: starts one; its output comes when it is its turn.
ahead() {
  setsid tools/test.sh "$1" > "$REPORTS/$1.txt" 2>&1 &
  printf -v "job_${1//-/_}" %s $!
}

# came_ahead SUITE: waits for it and prints it; false when it was not started.
came_ahead() {
  local job=job_${1//-/_}
  [ -n "${!job:-}" ] || return
  wait "${!job}" || failed=1
  printf -v "$job" ''
  sed '/^=== summary$/,$d' "$REPORTS/$1.txt"
  results+=("$(sed -n '/^=== summary$/,$p' "$REPORTS/$1.txt" | grep "^$1 ")")
}

compiled() {
  [ -z "${compiling:-}" ] || wait "$compiling" || true # what fails to compile fails again, in its suite
  compiling=
}

# kubo_built: builds the real Kubo, or waits for it, but not for long after everything else: its tests are skipped then.
kubo_built() {
  [ -n "${building:-}" ] || { tools/setup.sh kubo; return; }
  local second
  for second in {1..120}; do
    kill -0 "$building" 2>/dev/null || break
    sleep 1
  done
  if kill -0 "$building" 2>/dev/null; then
    echo "test.sh: Kubo took too long to build: tests against a real one are skipped" >&2
    kill -- "-$building" 2>/dev/null
  fi
  wait "$building" || true
  building=
}

forge_test() {
  forge test 2>&1 | tee "$REPORTS/contracts.log"
  return "${PIPESTATUS[0]}"
}

# pytest_in PYTHON NAME PATH…: ape's plugin is left out where the tests do not want it.
pytest_in() {
  local python=$1 name=$2
  shift 2
  "$python" -m pytest -p no:cacheprovider --junitxml="$REPORTS/$name.xml" "$@"
}

run_suite() {
  case $1 in
    contracts)
      compiled
      [ -z "$all" ] || ahead gas
      if has tests '*.t.sol'; then suite contracts .venv/bin/python forge_test; else absent contracts; fi ;;
    agent-base)
      if came_ahead agent-base; then :
      elif has tests/agent 'test_*.py'; then
        suite agent-base .venv-base/bin/python pytest_in .venv-base/bin/python agent-base --ignore=$INTEROP tests/agent
      else absent agent-base; fi ;;
    agent)
      if has tests/agent 'test_*.py'; then
        suite agent .venv/bin/python pytest_in .venv/bin/python agent -p no:ape_test --ignore=$ESCAPE --ignore=$CONTENT tests/agent tests/lab
      else absent agent; fi ;;
    content)
      kubo_built
      suite content .venv/bin/python pytest_in .venv/bin/python content -p no:ape_test $INTEROP ;;
    scripts)
      compiled
      if has tests/scripts 'test_*.py'; then
        suite scripts .venv/bin/python .venv/bin/ape test tests/scripts -p no:cacheprovider --junitxml=$REPORTS/scripts.xml
      else absent scripts; fi ;;
    e2e)
      compiled
      if has tests/e2e 'test_*.py'; then
        suite e2e .venv/bin/python pytest_in .venv/bin/python e2e -p no:ape_test --durations=12 --ignore=$GAS tests/e2e
      else absent e2e; fi ;;
    gas)
      came_ahead gas || suite gas .venv/bin/python pytest_in .venv/bin/python gas -p no:ape_test $GAS ;;
    tools)
      suite tools .venv/bin/python pytest_in .venv/bin/python tools -p no:ape_test tests/tools ;;
    *)
      echo "test.sh: no suite '$1'; there are tools, contracts, agent-base, agent, content, scripts, gas and e2e" >&2
      exit 2 ;;
  esac
}

[ $# -gt 0 ] || { set -- tools agent agent-base contracts gas scripts e2e content; all=yes; start_ahead; }
# with what they started
trap 'for job in ${compiling:-} ${building:-} ${job_agent_base:-} ${job_gas:-}; do kill -- "-$job" 2>/dev/null; done' EXIT
for name in "$@"; do run_suite "$name"; done

printf '\n=== summary\n'
printf '%s\n' "${results[@]}"
exit $failed
