"""What is known about each mutant, kept in `build/mutation/state.jsonl` so that a run can go on.

A record holds for the contracts it was made with. A mutant that was killed stays killed when tests
are added (start over with --fresh when tests were taken away); one that survived is tried again
when the tests changed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
    """A mutant's result. `contracts` and `tests` are hashes of what it was made with."""

    key: str
    contracts: str
    tests: str
    status: str
    file: str
    line: int
    operator: str
    function: str
    diff: str
    stage: str
    killer: str
    seconds: float
    cpu: float
    note: str = ""
    proof: str = ""


class State:
    """The records that still hold; new ones are appended at once."""

    def __init__(self, path: Path, contracts: str, tests: str) -> None:
        self._path = path
        self.records: dict[str, Record] = {}
        if not path.is_file():
            return
        for line in path.read_text().splitlines():
            try:
                record = Record(**json.loads(line))
            except (ValueError, TypeError):
                continue  # a line cut off when the machine stopped, or of another release
            if record.contracts != contracts or record.status == "broken":
                continue
            if record.status == "survived" and record.tests != tests:
                self.records.pop(record.key, None)
                continue
            self.records[record.key] = record

    def add(self, record: Record) -> None:
        self.records[record.key] = record
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")
