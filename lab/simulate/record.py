"""A recorded run of a real chain: what went in (seeds, seats, jobs, answers, transactions) and what came out.

The JSON is ``Record``; ``quorate/run/1``. Everything is in the order and with the numbers of the contracts' events:

- ``rules``: the deployment's parameters. ``seeds``: epoch to seed, for every epoch in which an attempt of a job or
  case started.
- ``pools``: per pool the list's ``lengths`` (``ListResized``: from which epoch which length), ``seats`` (one entry
  per seat ever taken: index, node, ``since``, ``until``, ``held_since``); ``pauses``: (node, from, until).
- ``jobs``: word, requester and protocol fee of each job as posted; cases are not listed, ``appeal`` makes them.
- ``batches``: per node and commit epoch what it opened, and how many epochs later; a sealed lane has ``delay`` null.
- ``acts``: every successful transaction that moved money, in chain order, each with the ``epoch`` of its block and,
  where the contract counts ahead (``appeal``, ``cancel``), the counting epoch as ``counting``.
- ``committees`` and ``balances``: what the chain says at the end, for comparison.

Amounts are whole numbers in the token's smallest unit, as JSON numbers or decimal texts. Roots and seeds are hex
texts of 32 bytes, addresses any text that is always the same for the same account. ``until`` and a pause's end are
4294967295 while open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from lab.simulate.acts import Act, Count, Hex32, Strict
from lab.simulate.purses import Rules
from nodeagent.errors import JobFault

FORMAT: Literal["quorate/run/1"] = "quorate/run/1"


class BadRecord(JobFault):
    """The record is not one, or tells of something that the rules do not allow."""


class RulesRecord(Strict):
    """The parameters of a deployment."""

    ring: Count
    reveal_grace: Count
    settle_grace: Count
    report_epochs: Count
    settle_fee_bps: Count
    absent_bps: Count
    unrevealed_bps: Count
    wrong_bps: Count
    judges: Count

    def rules(self) -> Rules:
        return Rules(**self.model_dump())


class SeatRecord(Strict):
    """A seat from the epoch it was taken for until the epoch it ended. ``held_since`` is older than ``since`` where the
    seat was moved in the list."""

    seat: Count
    node: Annotated[int, Field(ge=1)]
    since: Count
    until: Count
    held_since: Count


class PoolRecord(Strict):
    """A pool's list over time."""

    pool: Count
    lengths: list[tuple[Count, Count]]
    seats: list[SeatRecord]


class PauseRecord(Strict):
    """A node left out of draws from an epoch until another."""

    node: Annotated[int, Field(ge=1)]
    start: Count
    end: Count


class JobRecord(Strict):
    """A job as posted. ``word`` is ``JobPosted.word``."""

    job: Annotated[int, Field(ge=1)]
    word: Count
    requester: str
    protocol_fee_bps: Count = 0


class LeafRecord(Strict):
    """One answer of a batch."""

    job: Annotated[int, Field(ge=1)]
    shard: Count
    root: Hex32


class BatchRecord(Strict):
    """What a node sealed in an epoch; ``delay``: epochs until it was opened, null if never."""

    node: Annotated[int, Field(ge=1)]
    epoch: Count
    delay: Count | None
    leaves: list[LeafRecord] = Field(default_factory=list)


# --- what came out ------------------------------------------------------------------------------------------


class CommitteeRecord(Strict):
    """Slots of an attempt as the registry draws them, 0 for void. A case is its own job, shard 0."""

    job: Annotated[int, Field(ge=1)]
    shard: Count
    attempt: Count
    slots: list[Count]


class NodeBalance(Strict):
    """``earningsOf`` and the stake of a node."""

    node: Annotated[int, Field(ge=1)]
    matured: Count
    maturing: Count
    stake: Count
    unbonding: Count = 0


class Balances(Strict):
    """Everything at the end, in ``epoch``. ``burned``: payment at the dead address; ``owed`` leaves it out."""

    epoch: Count
    nodes: list[NodeBalance] = Field(default_factory=list)
    owed: dict[str, Count] = Field(default_factory=dict)
    rewards: dict[str, Count] = Field(default_factory=dict)
    held: dict[int, Count] = Field(default_factory=dict)
    burned: Count = 0
    burned_stake: Count = 0


class Record(Strict):
    """A whole run."""

    format: Literal["quorate/run/1"] = FORMAT
    rules: RulesRecord
    seeds: dict[int, Hex32]
    pools: list[PoolRecord]
    pauses: list[PauseRecord] = Field(default_factory=list)
    jobs: list[JobRecord]
    batches: list[BatchRecord]
    acts: list[Act]
    fee_recipient: str = "protocol"
    committees: list[CommitteeRecord] = Field(default_factory=list)
    balances: Balances


def read_record(path: Path) -> Record:
    """A record from its file. Raises BadRecord naming the first field that is wrong."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadRecord(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRecord(f"{path} is no record of a run: {place}: {first['msg']}") from None
