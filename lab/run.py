"""One scenario from expectation to outcome."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from lab.chainlog import ChainLog
from lab.expected import HONEST, Chances, Pool, Rules, chances, slots_per_node
from lab.hands import Grief, Hands, hands_of
from lab.net import BEAT_S, LabNet
from lab.scenario import Scenario
from lab.stage import ATTEMPTS, COMMITTEE, QUORUM, Say, Stage
from lab.tally import Party, Results, results, tally, worth
from nodeagent.errors import Fatal
from nodeagent.protocol.epochs import commit_epoch, epoch_of, last_epoch
from nodeagent.protocol.jobword import case_quorum
from nodeagent.protocol.sortition import SeatList
from nodeagent.protocol.types import VOID, Epoch, NodeId, Shard

QUICK_S = 0.02
"""Seconds between blocks when nobody computes any more."""
TAIL = 2  # epochs after the last deadline, for those who act on it
MOST_EPOCHS = 120


class NeverOver(Fatal):
    """A scenario did not come to its end."""


@dataclass(slots=True)
class Outcome:
    """A scenario's run. ``shares``: slots of a committee that one seat of each party fills on average."""

    scenario: Scenario
    seed: int
    epochs: int
    expected: Chances
    shares: dict[str, float]
    parties: list[Party]
    results: Results
    seconds: float
    checks: dict[str, bool]
    log: ChainLog = field(repr=False)
    grief_cost: float | None = None


def play(net: LabNet, scenario: Scenario, epochs: int, seed: int, say: Say) -> Outcome:
    """Runs a scenario on a network with its seats. Raises DevnetFault, NeverOver; the agents are stopped."""
    began = time.monotonic()
    shards = epochs * scenario.pace
    net.rewind()
    stage = Stage(net, scenario, shards, seed, say)
    say(f"{scenario.name}: {scenario.about}; {shards} shards over {epochs} epochs")
    stage.prepare()
    try:
        net.start(scenario, seed)
        pool, rules = pool_of(stage), rules_of(stage)
        expected = chances(pool, rules)
        shares = seat_shares(stage)
        say(f"expected of {shards} shards: {float(shards * expected.wrong_settled):.1f} settle wrong")
        with stage.serving():
            since, before = net.rpc.block_number(), stage.purses()
            stage.post("main", stage.payload.plan.digest if stage.payload else b"")
            hands = hands_of(stage)
            hands.begin()
            until_over(stage, hands)
            hands.end()
        log = stage.read()
        parties = tally(stage, log, before, stage.purses(), since)
    finally:
        net.halt()
    found = results(stage, log, [NodeId(net.node(number)) for number in scenario.adversaries])
    checks = {"events and balances agree": all(party.adds_up for party in parties), **hands.checks()}
    cost = worth(hands.cost) if isinstance(hands, Grief) else None
    seconds = time.monotonic() - began
    return Outcome(scenario, seed, epochs, expected, shares, parties, found, seconds, checks, log, cost)


# --- before the run -----------------------------------------------------------------------------------------


def pool_of(stage: Stage) -> Pool:
    """The pool as the next draw finds it, by the registry's own list."""
    numbers = {stage.net.node(number): number for number in stage.net.agents}
    held = Counter(node for node in coming_table(stage) if node != VOID)
    found: dict[tuple[str, int], int] = {}
    for node, seats in held.items():
        kind = stage.scenario.camp(numbers[node]), seats
        found[kind] = found.get(kind, 0) + 1
    return found


def coming_table(stage: Stage) -> list[NodeId]:
    """Node at every seat for a draw two epochs from now: whatever was registered is in force by then."""
    seats: SeatList = stage.read().world.seats
    epoch = Epoch(stage.net.rpc.block_number() // stage.net.deployment.epoch_blocks + 2)
    return list(seats.table(epoch))


def rules_of(stage: Stage) -> Rules:
    """Of the job and of cases about it, as deployed."""
    court = stage.net.doors.court
    judges = court.judges() if court is not None else 0
    appeals = stage.scenario.appeal_epochs > 0 and court is not None
    quorum = case_quorum(judges) if court is not None else 0
    return Rules(COMMITTEE, QUORUM, ATTEMPTS, appeals, judges, quorum, stage.scenario.liars_judge)


def seat_shares(stage: Stage) -> dict[str, float]:
    """Slots of one committee that a seat of each party fills on average."""
    net, scenario = stage.net, stage.scenario
    kinds: dict[tuple[str, int], int] = {}
    for number in net.agents:
        kind = scenario.party(number), net.seats[number - 1]
        kinds[kind] = kinds.get(kind, 0) + 1
    slots = slots_per_node(kinds, COMMITTEE)
    found: dict[str, float] = {}
    for name in {party for party, _ in kinds}:
        mine = [(kind, count) for kind, count in kinds.items() if kind[0] == name]
        filled = sum(float(slots[kind]) * count for kind, count in mine)
        found[name] = filled / sum(kind[1] * count for kind, count in mine)
    return found


# --- the run ------------------------------------------------------------------------------------------------


def until_over(stage: Stage, hands: Hands) -> None:
    """Beats until nothing can happen to the job's shards any more. Raises NeverOver."""
    net = stage.net
    blocks, beat_s = net.deployment.epoch_blocks, BEAT_S
    first, said = net.rpc.block_number() // blocks, ""
    while True:
        block = net.beat(beat_s)
        hands.tick(block)
        if block % blocks:
            continue
        log, now = stage.read(), epoch_of(block, blocks)
        line = _line(stage, log)
        if line != said:
            stage.say(f"epoch {now}: {line}")
            said = line
        if now > _end(stage, log):
            return
        beat_s = QUICK_S if _is_quiet(log, now) else BEAT_S
        if now > first + MOST_EPOCHS:
            raise NeverOver(
                f"{stage.scenario.name} was not over after {MOST_EPOCHS} epochs", hint="see the agents' logs"
            )


def _line(stage: Stage, log: ChainLog) -> str:
    settled = sum(key[0] == stage.jobs["main"] for key in log.world.settled)
    cases = log.world.cases.values()
    said = f"{settled} of {stage.shards} shards settled"
    if cases:
        said += f", {len(cases)} appeals, {sum(case.open for case in cases)} open"
    return said


def _is_quiet(log: ChainLog, now: int) -> bool:
    """Whether no job and no case has an attempt under way."""
    for job in log.world.jobs.values():
        for number in range(job.terms.shards):
            shard = Shard(number)
            attempts = job.terms.max_attempts - 1
            if (job.id, shard) not in log.world.settled and now <= commit_epoch(job.terms, shard, attempts) + 2:
                return False
            where = log.world.settled.get((job.id, shard))
            window = where is not None and now <= where.epoch + job.terms.appeal_epochs
            if job.terms.appeal_epochs and window and (job.id, shard) not in log.world.cases:
                return False
    return True


def _end(stage: Stage, log: ChainLog) -> int:
    """Last epoch in which anything may come to pass: deadlines of faults, appeals, claims and cases."""
    deployment, end = stage.net.deployment, 0
    for job in log.world.jobs.values():
        for number in range(job.terms.shards):
            shard = Shard(number)
            where = log.world.settled.get((job.id, shard))
            attempt = where.leaf.attempt if where is not None else job.terms.max_attempts - 1
            end = max(end, commit_epoch(job.terms, shard, attempt) + deployment.reveal_grace + TAIL)
            if where is not None:
                end = max(end, where.epoch + job.terms.appeal_epochs + TAIL)
            elif job.about is None:
                end = max(end, last_epoch(job.terms, shard, deployment.settle_grace) + 1)
    for case in log.world.cases.values():
        if not case.closed:
            end = max(end, case.last(deployment.settle_grace) + deployment.report_epochs + 2 * TAIL)
    return end


def honest(outcome: Outcome) -> Party:
    """The honest party."""
    return next(party for party in outcome.parties if party.name == HONEST)
