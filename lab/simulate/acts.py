"""The transactions of a recorded run that moved money, one model each. See :mod:`lab.simulate.record`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Hex32 = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]
Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Act(Strict):
    epoch: Count


class Stake(_Act):
    """Stake that came in (``StakeAdded``)."""

    act: Literal["stake"]
    node: Annotated[int, Field(ge=1)]
    amount: Count


class Unbond(_Act):
    """Stake that began to leave (``StakeUnbonding``)."""

    act: Literal["unbond"]
    node: Annotated[int, Field(ge=1)]
    amount: Count


class Unstake(_Act):
    """Stake paid out (``StakeWithdrawn``): all that was leaving."""

    act: Literal["unstake"]
    node: Annotated[int, Field(ge=1)]


class Post(_Act):
    """A job's escrow came in."""

    act: Literal["post"]
    job: Annotated[int, Field(ge=1)]


class Cancel(_Act):
    """A job was cut to the shards that may still run."""

    act: Literal["cancel"]
    job: Annotated[int, Field(ge=1)]
    counting: Count


class Close(_Act):
    """The rest of a job's escrow went back. For a case use ``close_case``."""

    act: Literal["close"]
    job: Annotated[int, Field(ge=1)]


class EntryRecord(Strict):
    """A settled shard: ``paid`` are the slots of ``paidSlots``."""

    job: Annotated[int, Field(ge=1)]
    shard: Count
    attempt: Count
    root: Hex32
    paid: list[Count]


class Settle(_Act):
    """One settle call. ``payee`` is the node that the fee goes to, 0 for ``sender``."""

    act: Literal["settle"]
    payee: Count
    sender: str
    entries: list[EntryRecord]


class Claim(_Act):
    """A member took pay that it was left without."""

    act: Literal["claim"]
    job: Annotated[int, Field(ge=1)]
    shard: Count
    slot: Count


class Absent(_Act):
    """``reportAbsent`` of a slot of the settled attempt."""

    act: Literal["absent"]
    job: Annotated[int, Field(ge=1)]
    shard: Count
    slot: Count
    reporter: str


class Unrevealed(_Act):
    """``reportUnrevealed`` of a node's lane."""

    act: Literal["unrevealed"]
    node: Annotated[int, Field(ge=1)]
    commit_epoch: Count
    reporter: str


class Appeal(_Act):
    """An appeal; ``case_job`` is the job that the judges serve."""

    act: Literal["appeal"]
    job: Annotated[int, Field(ge=1)]
    shard: Count
    case_job: Annotated[int, Field(ge=1)]
    accuser: str
    counting: Count


class Resolve(_Act):
    """A case ended: with the verdict that its settlement gave, or without one."""

    act: Literal["resolve"]
    job: Annotated[int, Field(ge=1)]
    shard: Count


class CloseCase(_Act):
    """What the judges of a case did not earn was passed on."""

    act: Literal["close_case"]
    job: Annotated[int, Field(ge=1)]
    shard: Count


class ReportWrong(_Act):
    """An opening of a slot that is not the verdict was shown."""

    act: Literal["wrong"]
    job: Annotated[int, Field(ge=1)]
    shard: Count
    attempt: Count
    slot: Count
    reporter: str


class Withdraw(_Act):
    """A node's matured pay went to its operator."""

    act: Literal["withdraw"]
    node: Annotated[int, Field(ge=1)]


class Collect(_Act):
    """An account took what the market owed it."""

    act: Literal["collect"]
    account: str


class CollectReward(_Act):
    """A reporter took its rewards, in stake."""

    act: Literal["collect_reward"]
    account: str


Act = Annotated[
    Stake
    | Unbond
    | Unstake
    | Post
    | Cancel
    | Close
    | Settle
    | Claim
    | Absent
    | Unrevealed
    | Appeal
    | Resolve
    | CloseCase
    | ReportWrong
    | Withdraw
    | Collect
    | CollectReward,
    Field(discriminator="act"),
]
