"""A scenario on the lab's network: the requester's job, the clock, and what everybody has before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.chainlog import ChainLog
from lab.net import POOL, LabNet
from lab.payload import SHARD_SIZE, Payload, make_payload
from lab.scenario import Scenario
from nodeagent.chain.decoding import decode_log
from nodeagent.chain.events import JobPosted
from nodeagent.cli.requester_common import Session
from nodeagent.client.facts import spec_of
from nodeagent.content.gateway import Gateway
from nodeagent.errors import Fatal
from nodeagent.protocol.types import JobId, NodeId, PoolId

COMMITTEE, QUORUM, ATTEMPTS, WORK = 3, 2, 3, 1
UNIT_PRICE = 2_000_000
"""Payment-token units for one unit of work: two coins for each of a shard's tasks."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Purse:
    """Everything an account pair of key and operator (or a requester) has, in the smallest units."""

    payment: int
    stake: int
    wei: int

    def __sub__(self, other: Purse) -> Purse:
        return Purse(self.payment - other.payment, self.stake - other.stake, self.wei - other.wei)


class Stage:
    """One scenario under way."""

    def __init__(self, net: LabNet, scenario: Scenario, shards: int, seed: int, say: Say) -> None:
        self.net, self.scenario, self.shards, self.seed, self.say = net, scenario, shards, seed, say
        self.session = Session(home=net.state.requester_home)
        self.session.wallet._sleep = net._mine_meanwhile
        self.pool = PoolId(net.deployment.pool_id(POOL))
        self.jobs: dict[str, JobId] = {}
        self.payload: Payload | None = None

    # --- the requester --------------------------------------------------------------------------------------

    def prepare(self) -> Payload:
        """The job's content, in the requester's store."""
        runtimes = self.net.wiring_of().runtimes
        folder = self.net.home / "requester" / "lab"
        self.payload = make_payload(folder, runtimes, self.session.store, self.shards, self.seed)
        return self.payload

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The requester's gateway, announced on chain."""
        with Gateway(self.session.store.local) as gateway:
            self.session.wallet.send(self.net.doors.market.call("announce", gateway.url))
            yield

    def post(self, name: str, manifest: bytes, **changes: Any) -> JobId:
        """Posts a job on the scenario's terms, with ``changes`` to its spec; returns its number."""
        if self.payload is None:
            raise Fatal("a job was posted before its payload was made", hint="prepare first")
        terms = {
            "pool": self.pool, "tasks": self.shards * SHARD_SIZE, "shard_size": SHARD_SIZE, "unit_price": UNIT_PRICE,
            "pace": self.scenario.pace, "committee": COMMITTEE, "quorum": QUORUM, "work": WORK, "attempts": ATTEMPTS,
            "appeal_epochs": self.scenario.appeal_epochs, "units": self.payload.plan.manifest.units,
            "manifest": manifest,
        }  # fmt: skip
        spec = spec_of(**{**terms, **changes})
        market, token = self.net.doors.market, self.net.doors.payment_token
        escrow = market.quote_escrow(spec)
        if token.allowance(self.session.address, market.address) < escrow:
            self.session.wallet.send(token.call("approve", market.address, 1 << 255))
        sent = self.session.wallet.send(market.post(spec))
        job = next(e.job for e in map(decode_log, sent.logs) if isinstance(e, JobPosted))
        self.jobs[name] = job
        return job

    # --- what everybody has ---------------------------------------------------------------------------------

    def purses(self) -> dict[int, Purse]:
        """Of every agent by number, node, key and operator together."""
        return {number: self._purse(number) for number in self.net.agents}

    def _purse(self, number: int) -> Purse:
        doors, rpc = self.net.doors, self.net.rpc
        operator, key, node = (
            str(self.net.agents[number].operator),
            self.net.key_of(number),
            NodeId(self.net.node(number)),
        )
        view = doors.registry.node_view(node)
        payment = sum(doors.market.earnings_of(node)) + doors.market.owed_to(operator)
        payment += doors.payment_token.balance_of(operator)
        stake = view["stake"] + view["unbonding"] + doors.stake_token.balance_of(operator)
        stake += sum(doors.registry.read("rewardOf", account) for account in (operator, key))
        return Purse(payment, int(stake), rpc.balance(operator) + rpc.balance(key))

    def requester_purse(self) -> Purse:
        """Of the requester; what is still in escrow is not his."""
        doors, address = self.net.doors, self.session.address
        payment = doors.payment_token.balance_of(address) + doors.market.owed_to(address)
        return Purse(payment, doors.stake_token.balance_of(address), self.net.rpc.balance(address))

    def read(self) -> ChainLog:
        """The chain's story so far."""
        return ChainLog(self.net.rpc, self.net.deployment, self.pool)
