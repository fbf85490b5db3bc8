"""Tables for people and `build/mutation.json` for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.mutation.records import Record

BAR = 0.90


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of a sample; `stillborn` and `broken` are outside it."""

    killed: int
    survived: int
    equivalent: int
    stillborn: int

    @property
    def sample(self) -> int:
        return self.killed + self.survived + self.equivalent

    @property
    def share(self) -> float:
        """Killed of those that could be; 0 for an empty sample."""
        able = self.killed + self.survived
        return self.killed / able if able else 0.0


def score(records: Iterable[Record]) -> Score:
    counts = Counter(record.status for record in records)
    return Score(counts["killed"], counts["survived"], counts["equivalent"], counts["stillborn"])


def table(title: str, records: Sequence[Record], field: str) -> list[str]:
    """One line per file or operator: sample, killed, survived, equivalent, share."""
    names = sorted({str(getattr(record, field)) for record in records})
    width = max([len(title), *(len(name) for name in names)])
    lines = [f"{title:<{width}}  sample  killed  survived  equivalent  stillborn   score"]
    for name in names:
        got = score(record for record in records if getattr(record, field) == name)
        lines.append(
            f"{name:<{width}}  {got.sample:6}  {got.killed:6}  {got.survived:8}  {got.equivalent:10}  "
            f"{got.stillborn:9}  {got.share:6.1%}"
        )
    return lines


def text(records: Sequence[Record], *, wanted: int, mutants: int, seed: int, left_out: Sequence[str]) -> str:
    got = score(records)
    counted = [record for record in records if record.status not in ("stillborn", "broken")]
    lines = ["", *table("contract", records, "file"), "", *table("operator", records, "operator"), ""]
    for record in records:
        if record.status in ("survived", "equivalent"):
            lines.append(f"{record.status}: {record.file}:{record.line} {record.operator} in {record.function or '-'}")
            lines += [f"    {line}" for line in record.diff.splitlines()]
            lines += [f"    {record.proof}"] if record.proof else []
    if left_out:
        lines.append(f"left out, they fail without the optimiser: {', '.join(left_out)}")
    if counted:
        wall = sum(record.seconds for record in counted) / len(counted)
        lines.append(f"{wall:.1f} s per mutant and worker")
    lines.append(
        f"sample {got.sample} of {wanted} wanted, from {mutants} mutants, seed {seed}: {got.killed} killed, "
        f"{got.survived} survived, {got.equivalent} equivalent, {got.stillborn} did not compile (not counted)"
    )
    lines.append(f"score {got.share:.1%} (bar {BAR:.0%})")
    return "\n".join(lines)


def write(path: Path, records: Sequence[Record], *, wanted: int, mutants: int, seed: int, left_out: list[str]) -> None:
    got = score(records)
    report = {
        "sample": got.sample,
        "wanted": wanted,
        "mutants": mutants,
        "seed": seed,
        "killed": got.killed,
        "survived": got.survived,
        "equivalent": got.equivalent,
        "stillborn": got.stillborn,
        "score": round(got.share, 4),
        "tests_left_out": left_out,
        "survivors": [entry(record) for record in records if record.status == "survived"],
        "equivalents": [entry(record) | {"proof": record.proof} for record in records if record.status == "equivalent"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


def entry(record: Record) -> dict[str, str | int]:
    return {"file": record.file, "line": record.line, "operator": record.operator, "diff": record.diff}
