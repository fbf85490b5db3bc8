"""An appeal as it happens: what the chain says, what is still to come, and when it can come no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from lab.story.cast import Cast
from nodeagent.chain.deployment import Deployment
from nodeagent.client.cases import ONLY, Case
from nodeagent.client.history import Follower, History
from nodeagent.client.why import gather, tell
from nodeagent.errors import Transient
from nodeagent.protocol.epochs import epoch_of, last_epoch

POLL_S = 0.3
STUCK = 200  # looks at a chain that does not move: a minute and more
PASSING = ("is computing", "sealed", "draw can no longer", "can be appealed", "is open until")  # soon untrue
Say = Callable[[str], None]


def looks(follower: Follower, sleep: Callable[[float], None] = time.sleep) -> Iterator[History]:
    """The history as it grows, for ever.

    :raises Transient: the chain could not be read, or did not move, for ``STUCK`` looks
    """
    block, idle, fault = -1, 0, ""
    while idle < STUCK:
        try:
            history = follower.read()
        except Transient as error:
            idle, fault = idle + 1, f": {error}"
        else:
            idle = 0 if history.head.block > block else idle + 1
            block, fault = history.head.block, ""
            yield history
        sleep(POLL_S)
    raise Transient(f"the chain stands still at block {block}{fault}", hint="run it again, and see its log with --keep")


def follow(cast: Cast, follower: Follower, shard: int, say: Say) -> History:
    """Tells what is new until the liars are reported, and the member that was right has its pay.

    :raises Transient: it cannot come to that any more, with what did not happen
    """
    told: set[str] = set()
    for history in looks(follower):
        try:
            lines = tell(gather(cast.rpc, cast.deployment, history, shard))
        except Transient:
            continue
        case, now = history.cases.get(shard), epoch_of(history.head.block, cast.deployment.epoch_blocks)
        if case is not None and case.accuser:
            lines = _introduced(cast, history, case, lines)
        for line in lines[1:]:
            if line not in told and not any(words in line for words in PASSING):
                say(f"  epoch {now}: {line.strip()}")
            told.add(line)
        missing = missing_of(history, shard, set(cast.liars))
        if not missing:
            return history
        if now > last_of(history, shard, cast.deployment):
            raise Transient(
                f"the appeal did not come to its end by epoch {now}: {' and '.join(missing)}",
                hint="if this machine was busy, agents were late: run it again; else see their logs with --keep",
            )
    raise AssertionError("looks() ends by raising")


def _introduced(cast: Cast, history: History, case: Case, lines: list[str]) -> list[str]:
    """The lines with the accuser's node named, and with what its agent did before it appealed."""
    node = cast.node_of(case.accuser)
    if node is None:
        return lines
    found = []
    for line in lines:
        if line.startswith(case.accuser):
            own = cast.appeal_of(node, int(history.posted.job), case.shard)
            if own is not None and own.again is not None:
                same = "the same as before" if own.again == own.own else "another one than before"
                found.append(
                    f"The agent of node {node}, outvoted, had computed the shard again in a fresh process from a fresh "
                    f"copy of the model: 0x{own.again.hex()[:16]}…, {same}."
                )
            line = line.replace(case.accuser, f"The operator of node {node}, {case.accuser},", 1)
        found.append(line)
    return found


def missing_of(history: History, shard: int, liars: set[int]) -> list[str]:
    """What has to happen until the story is over; nothing when it is, or when the lie was upheld."""
    case = history.cases.get(shard)
    if case is None:
        return ["nobody appealed"]
    if case.verdict is None:
        return [f"case {case.job} has no verdict"]
    if not case.overturned:
        return []
    free = sorted(liars - {int(wrong.node) for wrong in case.wrong})
    missing = [f"node {node} was not reported for its wrong answer" for node in free]
    if not any(claim.shard == shard for claim in history.claims):
        missing.append("the member that was right did not claim its pay")
    return missing


def last_of(history: History, shard: int, deployment: Deployment) -> int:
    """Last epoch in which the story may go on from where it is."""
    settled, case = history.settled[shard], history.cases.get(shard)
    if case is None:
        return settled.epoch + history.terms.appeal_epochs
    if case.settlement is None:
        return last_epoch(case.terms, ONLY, deployment.settle_grace)
    return case.settlement.epoch + deployment.report_epochs
