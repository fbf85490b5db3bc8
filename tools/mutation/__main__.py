"""Mutation testing of `contracts/` with the forge tests, on a copy.

    python -m tools.mutation [--sample 300] [--seed 1] [--minutes N] [--workers 2] [--fresh]

Takes a seeded, stratified sample of all mutants, tests each, and writes `build/mutation.json`. It
can be stopped at any time (Ctrl-C, --minutes) and goes on from `build/mutation/state.jsonl` when
started again. Exit 0 when the sample is complete and its score reaches 90 %, else 1; 2 when the
contracts do not compile or their tests fail before anything is mutated.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

from tools.mutation import report, sampling
from tools.mutation.equivalence import Bytecode, Differential, read_list
from tools.mutation.forge import Compiler
from tools.mutation.nearness import Nearness
from tools.mutation.operators import mutants_of
from tools.mutation.records import State
from tools.mutation.run import Plan, Run, settle_survivors
from tools.mutation.sources import CompileError, digest, read_sources
from tools.mutation.workspace import FOLDERS, BaselineError, make_template

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "mutation"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=300, help="mutants that count (default 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    parser.add_argument("--minutes", type=float, help="start no mutant after this time")
    parser.add_argument("--workers", type=int, default=2, help="mutants at once (default 2)")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--list", action="store_true", help="count the mutants and stop")
    return parser.parse_args()


def say(message: str) -> None:
    print(f"mutation: {message}", flush=True)


def main() -> int:
    chosen = options()
    deadline = time.monotonic() + 60 * chosen.minutes if chosen.minutes else None
    os.environ["PATH"] = f"{ROOT / 'build' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    config = tomllib.loads((ROOT / "foundry.toml").read_text())
    solc = ROOT / config["profile"]["default"]["solc"]
    if not solc.exists():
        print("mutation: the compiler is missing; run `make setup`", file=sys.stderr)
        return 2
    if chosen.fresh:
        shutil.rmtree(HOME, ignore_errors=True)
    compiler = Compiler(ROOT, solc)
    try:
        return mutate(chosen, deadline, config, solc, compiler)
    except (BaselineError, CompileError, ValueError) as error:
        print(f"mutation: {error}", file=sys.stderr)
        return 2
    finally:
        compiler.close()


def mutate(
    chosen: argparse.Namespace, deadline: float | None, config: dict[str, object], solc: Path, compiler: Compiler
) -> int:
    sources = read_sources(ROOT, solc)
    mutants = [mutant for source in sources for mutant in mutants_of(source.file, source.text, source.tree)]
    say(f"{len(mutants)} mutants of {len(sources)} files")
    if chosen.list:
        for name, count in sorted(Counter(mutant.operator for mutant in mutants).items()):
            print(f"  {name:<20} {count:5}")
        return 0
    work = HOME / "work"
    baseline = make_template(ROOT, work, compiler, say)
    contracts, tests = digest(work / "template", ["contracts"]), digest(work / "template", FOLDERS[1:])
    texts = {source.file: source.text for source in sources}
    plan = Plan(sampling.order(mutants, chosen.seed), texts, chosen.sample, contracts, tests)
    state = State(HOME / "state.jsonl", contracts, tests)
    near = Nearness(work / "template", sources)
    run = Run(ROOT, solc, plan, state, near, baseline, deadline)
    run.work(chosen.workers, say)

    entries = read_list(ROOT / "tools" / "mutation" / "equivalent.toml")
    settle_survivors(plan, state, entries, Differential(work / "template", compiler), Bytecode(ROOT, solc, config), say)
    records = plan.records(state)
    facts = {"wanted": chosen.sample, "mutants": len(mutants), "seed": chosen.seed}
    print(report.text(records, **facts, left_out=baseline.left_out))
    report.write(ROOT / "build" / "mutation.json", records, **facts, left_out=list(baseline.left_out))
    got = report.score(records)
    if got.sample < min(chosen.sample, len(mutants)) - got.stillborn * (chosen.sample >= len(mutants)):
        say("the sample is not complete; start again to go on")
        return 1
    return 0 if got.share >= report.BAR else 1


if __name__ == "__main__":
    sys.exit(main())
