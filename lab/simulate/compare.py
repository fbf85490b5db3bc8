"""Where a replay and the chain it was recorded from differ, committee by committee and account by account."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from lab.simulate.record import Record
from lab.simulate.replay import Replay


def differences(record: Record, replay: Replay) -> list[str]:
    """One line for every committee or account that the chain has otherwise; empty when all agree.

    :param replay: after ``play``
    """
    return [*_committees(record, replay), *_nodes(record, replay), *_accounts(record, replay)]


def _committees(record: Record, replay: Replay) -> Iterator[str]:
    seen = set()
    for recorded in record.committees:
        key = (recorded.job, recorded.shard, recorded.attempt)
        seen.add(key)
        drawn = replay.committee(*key)
        if drawn != tuple(recorded.slots):
            job, shard, attempt = key
            chain = tuple(recorded.slots)
            yield f"committee of job {job}, shard {shard}, attempt {attempt}: drew {drawn}, chain {chain}"
    for job, shard, attempt in sorted(replay.committees.keys() - seen):
        yield f"committee of job {job}, shard {shard}, attempt {attempt} is not in the record"


def _nodes(record: Record, replay: Replay) -> Iterator[str]:
    books = replay.books
    seen = set()
    for node in record.balances.nodes:
        seen.add(node.node)
        mine = {
            "matured": books.matured[node.node],
            "maturing": books.current[node.node] + books.previous[node.node],
            "stake": books.stake[node.node],
            "unbonding": books.unbonding[node.node],
        }
        for field, amount in mine.items():
            if amount != getattr(node, field):
                yield f"node {node.node} {field}: replayed {amount}, chain {getattr(node, field)}"
    for node_id in range(1, len(books.stake)):
        if node_id not in seen and (books.stake[node_id] or books.matured[node_id] or books.current[node_id]):
            yield f"node {node_id} has money and is not in the record's balances"


def _accounts(record: Record, replay: Replay) -> Iterator[str]:
    books, chain = replay.books, record.balances
    held: dict[Hashable, int] = {job: stored.held for job, stored in books.jobs.items()} | replay.case_money()
    yield from _differ("owed to", books.owed, chain.owed)
    yield from _differ("rewards of", books.rewards, chain.rewards)
    yield from _differ("escrow of job", held, chain.held)
    if books.burned != chain.burned:
        yield f"burned: replayed {books.burned}, chain {chain.burned}"
    if books.burned_stake != chain.burned_stake:
        yield f"burned stake: replayed {books.burned_stake}, chain {chain.burned_stake}"


def _differ(what: str, mine: Mapping[Any, int], theirs: Mapping[Any, int]) -> Iterator[str]:
    for account in sorted({*mine, *theirs}, key=str):
        if mine.get(account, 0) != theirs.get(account, 0):
            yield f"{what} {account}: replayed {mine.get(account, 0)}, chain {theirs.get(account, 0)}"
