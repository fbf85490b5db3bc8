"""Exact gas of every step, on anvil, through the contracts as the deploy script leaves them.

Run with ``make bench-gas``. It fills every ring slot by real transactions, runs a first round so that all balances are
in use, then measures: three members, one settle call for 1, 64 (8 jobs of 8) and 256 shards (32 jobs of 8). Sums are
over the three members, without ``post`` and without ``record_seed``, which the network pays once per epoch. Beside the
cases: appeals and reports (``bench.appeals``), and every contract's size with the room that is left.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import appeals
from bench.chain import ROOT, Sent, deployed
from bench.network import FIRST_KEY, SEATS, Network

OUT = ROOT / "build" / "bench" / "gas.json"
#: What the gas test compares with; ``python -m bench.gas --accept`` writes it anew.
BASELINE = ROOT / "bench" / "gas_baseline.json"
SIZE_LIMIT = 24_576
#: Least shards a case settles each way: fewer rounds of more shards. Which seats a draw touches first moves ``settle``,
#: and a changed byte of any contract changes every draw; the mean of so many moves by far less than what is gated.
LEAST_DRAWS = {1: 16, 64: 256, 256: 512}


def _mean(rows: list[Sent]) -> dict[str, int]:
    """A step as one transaction of the average member."""
    return {
        "gas": round(sum(r.gas for r in rows) / len(rows)),
        "new_slots": max(r.new_slots for r in rows),
        "updates": max(r.updates for r in rows),
    }


def measure(network: Network, jobs: int, shards: int, committee: int) -> dict[str, Any]:
    """One case: the same jobs with separate transactions and with ``turn``, each several times.

    A step's gas is the mean over members and rounds: which seats a draw touches first moves ``settle`` by a few
    thousand. The totals are what the members send, and the mean settlement of all rounds.
    """
    rounds = LEAST_DRAWS[jobs * shards] // (jobs * shards)
    apart = [network.round(jobs, shards, committee, turn=False) for _ in range(rounds)]
    joined = [network.round(jobs, shards, committee, turn=True) for _ in range(rounds)]
    names = ("post", "record_seed", "commit", "reveal", "settle")
    steps = {name: _mean([row for r in apart for row in r[name]]) for name in names}
    steps["turn"] = _mean([row for r in joined for row in r["turn"]])
    settles = [row for r in (*apart, *joined) for row in r["settle"]]
    steps["settle"] = _mean(settles)
    settle = sum(row.gas for row in settles) / (2 * rounds)
    separate = settle + sum(row.gas for r in apart for name in ("commit", "reveal") for row in r[name]) / rounds
    together = settle + sum(row.gas for r in joined for row in r["turn"]) / rounds
    count = jobs * shards
    return {
        "shards": count,
        "committee": committee,
        "pool_nodes": len(network.nodes),
        "seats": len(network.nodes) * SEATS,
        "jobs": jobs,
        "rounds": rounds,
        "members": len(joined[0]["turn"]),
        "steps": steps,
        "settle_max": max(row.gas for row in settles),
        "total_separate": round(separate),
        "total_turn": round(together),
        "per_shard": round(together / count),
        "new_slots": max(row.new_slots for row in settles),
    }


def sizes() -> dict[str, int]:
    """Runtime bytes of each deployed contract, from the artifacts that the deploy script uses."""
    names = ("JobMarket", "NodeRegistry", "CommitLedger", "Court", "QuorateToken", "Authority")
    found = {}
    for name in names:
        artifact = json.loads((ROOT / "build" / "forge" / "out" / f"{name}.sol" / f"{name}.json").read_text())
        found[name] = len(artifact["deployedBytecode"]["object"]) // 2 - 1
    return found


Plan = tuple[int, tuple[tuple[int, int, int], ...]]
#: (nodes of the pool, (jobs, shards of each, committee) of each case). The gas bars are on these.
GATED: tuple[Plan, ...] = ((3, ((1, 1, 3), (8, 8, 3), (32, 8, 3))), (15, ((1, 1, 15),)))
#: A large pool, for comparison: most members hold one or two shards and pay a transaction for them.
WIDE: tuple[Plan, ...] = ((60, ((1, 1, 3), (8, 8, 3), (32, 8, 3), (1, 256, 3))),)


def run(plans: tuple[Plan, ...] = GATED + WIDE) -> dict[str, Any]:
    cases = []
    for nodes, shapes in plans:
        with (
            tempfile.TemporaryDirectory(prefix="quorate-gas-") as home,
            deployed(Path(home), FIRST_KEY + nodes) as chain,
        ):
            network = Network(chain, nodes)
            network.round(1, 1, shapes[0][2], turn=False)
            for jobs, shards, committee in shapes:
                print(f"gas: {nodes} nodes, {jobs} x {shards} shards, {committee} members", file=sys.stderr)
                cases.append(measure(network, jobs, shards, committee))
    print("gas: appeals and reports", file=sys.stderr)
    found = sizes()
    return {
        "cases": cases,
        "appeals": appeals_gas(),
        "sizes": found,
        "size_limit": SIZE_LIMIT,
        "size_room": {name: SIZE_LIMIT - size for name, size in found.items()},
    }


def appeals_gas() -> dict[str, dict[str, int]]:
    """What the Court and every report cost, on a deployment of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="quorate-gas-") as home,
        deployed(Path(home), FIRST_KEY + appeals.NODES) as chain,
    ):
        return appeals.Trials(Network(chain, appeals.NODES)).run()


def table(report: dict[str, Any]) -> dict[str, dict[str, int]]:
    """What is gated: per case the gas of each step and the totals. The case is ``shards/committee/nodes``."""
    rows = {}
    for case in report["cases"]:
        gas = {name: step["gas"] for name, step in case["steps"].items()}
        gas |= {name: case[name] for name in ("total_separate", "total_turn", "per_shard")}
        rows[f"{case['shards']}/{case['committee']}/{case['pool_nodes']}"] = gas
    if "appeals" in report:
        rows["appeals"] = {name: row["gas"] for name, row in report["appeals"].items()}
    return rows


def main() -> None:
    report = run()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(table(report) | {"size_room": report["size_room"]}, indent=2))
    if "--accept" in sys.argv[1:]:
        gated = [case for case in report["cases"] if case["pool_nodes"] < 60]
        BASELINE.write_text(json.dumps(table({**report, "cases": gated}), indent=2) + "\n")
        print(f"wrote {BASELINE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
