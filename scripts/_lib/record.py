"""``deployments/<chain-id>.json``: what was deployed where, written after every step and before every transaction.

Keys: ``chainId``, ``network``, ``genesis`` (hash of block 0), ``startBlock``, ``deployer``, ``contracts`` (per name:
``address``, ``block``, ``tx``, ``codeHash``), ``parameters`` (by the contracts' getters), ``pools`` (name to id),
``roles`` (role to account to delay in seconds), ``complete``; while a deployment runs also ``pending``: the
transaction that may be on its way.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts._lib.errors import ScriptError


@dataclass(frozen=True, slots=True)
class Entry:
    """A contract on chain. ``tx`` is None for one that existed before."""

    address: str
    block: int
    tx: str | None
    codeHash: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A creation that was signed and may have been sent."""

    name: str
    tx: str
    nonce: int
    raw: str


@dataclass(slots=True)
class Record:
    """A deployment as it stands."""

    chainId: int
    network: str
    genesis: str
    startBlock: int
    deployer: str
    contracts: dict[str, Entry] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)
    roles: dict[str, dict[str, int]] = field(default_factory=dict)
    complete: bool = False
    pending: Pending | None = None


class Store:
    """The record's file. Writing replaces it as a whole, so a crash leaves the old or the new one."""

    def __init__(self, folder: Path, chain_id: int) -> None:
        self.path = folder / f"{chain_id}.json"

    def load(self) -> Record | None:
        """The record, or None if there is none. Raises ScriptError when the file is not one."""
        if not self.path.exists():
            return None
        try:
            data: dict[str, Any] = json.loads(self.path.read_text())
            contracts = {name: Entry(**entry) for name, entry in data.pop("contracts").items()}
            pending = data.pop("pending", None)
            return Record(**data, contracts=contracts, pending=Pending(**pending) if pending else None)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ScriptError(
                f"{self.path} is not a deployment record: {error}",
                hint="restore it from version control, or move it away to deploy afresh",
            ) from error

    def save(self, record: Record) -> None:
        """Writes and syncs, then replaces."""
        data = asdict(record)
        if record.pending is None:
            del data["pending"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".json.new")
        with draft.open("w") as file:
            json.dump(data, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def set_aside(self) -> Path:
        """Moves the file to the first free ``<chain-id>.json.old<n>`` and returns that path."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.old{number}")).exists():
            number += 1
        self.path.replace(aside)
        return aside
