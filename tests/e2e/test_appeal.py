"""An appeal with real processes: nobody but the agents acts.

a wrong root settles → an honest agent that was outvoted appeals by itself → judges overturn it
├── the wrong members lose half their stake and what they had earned, and nobody else loses anything
├── the honest member is paid what it claims, its operator gets back what the wrong members had
└── everybody can see it: nodeagent appeals, nodeagent status
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from nodeagent.chain import events as ev
from nodeagent.protocol.types import NodeId, ShardStatus
from tests.e2e.support.courtnet import ALLOWED, ROGUES, CourtNet
from tests.e2e.support.world import until


@dataclass(frozen=True, slots=True)
class Told:
    """A case that ran its whole course; ``honest`` is the member of the committee that was outvoted."""

    net: CourtNet
    case: ev.Appealed
    verdict: ev.Resolved
    honest: int
    stakes: dict[int, int]  # before the verdict


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("court")
    net = CourtNet(folder / "net")
    try:
        stakes = {n: net.doors.registry.node_view(NodeId(n))["stake"] for n in net.agents}
        net.until_appealed(folder)
        # Of several cases against the same members the first verdict takes what they had, whichever was appealed first.
        verdict = until("a verdict", lambda: next((e for e in net.events(ev.Resolved)), None))
        about = (verdict.job, verdict.shard)
        case = next(e for e in net.events(ev.Appealed) if (e.job, e.shard) == about)
        until("both are reported", lambda: {e.node for e in net.events(ev.WrongMarked)} == set(ROGUES))
        honest = next(node for node in case.committee if node not in ROGUES)
        until("the claim", lambda: any((e.job, e.shard) == about for e in net.events(ev.Claimed)))
        yield Told(net, case, verdict, int(honest), stakes)
    finally:
        net.close()


def test_appeal__an_honest_agent_was_outvoted__it_appeals_for_its_operators_bond(told: Told) -> None:
    net, case = told.net, told.case
    assert set(ROGUES) < set(case.committee) and len(case.committee) == 3
    assert case.accuser.lower() == net.operator(told.honest).lower()
    assert case.bond == net.court.bond_of(case.job, case.shard) > 0
    token, spent = net.doors.payment_token, sum(e.bond for e in net.events(ev.Appealed) if e.accuser == case.accuser)
    assert token.allowance(net.operator(told.honest), net.court.address) == ALLOWED - spent
    answers = [root for node, key, root in net.answers() if node == told.honest and key == (case.job, case.shard)]
    assert answers == [told.verdict.verdict] != [case.settled_root]


def test_resolve__judges_who_were_not_asked_before__overturn_it(told: Told) -> None:
    net, case = told.net, told.case
    assert told.verdict.overturned and told.verdict.verdict != case.settled_root
    judges = {node: root for node, key, root in net.answers() if key == (case.case_job, 0)}
    assert set(judges) <= set(net.agents) - set(case.committee) and len(judges) >= 4
    assert set(judges.values()) == {told.verdict.verdict}, "an equal answer has an equal root"
    assert net.court.status(case.job, case.shard)[:2] == (ShardStatus.FINAL, told.verdict.verdict)


def test_report_wrong__the_wrong_members__lose_half_their_stake_and_nobody_else_any(told: Told) -> None:
    net = told.net
    lost: dict[int, int] = dict.fromkeys(net.agents, 0)
    for slash in net.events(ev.Slashed):
        lost[int(slash.node)] += slash.amount
    assert {node for node, amount in lost.items() if amount} == set(ROGUES)
    for node, stake in told.stakes.items():
        assert net.doors.registry.node_view(NodeId(node))["stake"] == stake - lost[node]
        assert lost[node] == 0 or lost[node] >= stake // 2
    accusers = {e.accuser for e in net.events(ev.Appealed)}
    head = net.rpc.block_number()
    waiting = sum(net.doors.registry.reward_of(accuser, block=head) for accuser in accusers)
    rewards = sum(slash.reward for slash in net.events(ev.Slashed) if slash.at.block <= head)
    assert waiting + net.rewards_paid(head) == rewards > 0, "agents collect them for their operators"
    assert [net.doors.market.earnings_of(NodeId(node))[1] for node in ROGUES] == [0, 0]


def test_pour__what_the_wrong_members_had__goes_to_the_accuser_and_the_honest_member_is_paid(told: Told) -> None:
    net, case = told.net, told.case
    pay = net.doors.market.job_view(case.job)["taskPrice"]
    assert told.verdict.forfeited >= 2 * pay
    claim = next(e for e in net.events(ev.Claimed) if (e.job, e.shard) == (case.job, case.shard))
    assert (claim.node, claim.amount) == (told.honest, pay)
    view = net.court.case_of(case.job, case.shard)
    assert view is not None
    later = sum(e.forfeited for e in net.events(ev.WrongReported) if (e.job, e.shard) == (case.job, case.shard))
    assert view.accuser_due == max(0, case.bond - told.verdict.forfeited - later)


def test_commands__every_party__sees_its_part_and_its_losses(told: Told) -> None:
    net, case = told.net, told.case
    key, rogue = (case.job, case.shard), ROGUES[0]
    judge = next(node for node, answered, _ in net.answers() if answered == (case.case_job, 0))
    words = [
        (told.honest, "appeals"),
        (rogue, "appeals"),
        (judge, "appeals"),
        (told.honest, "status"),
        (rogue, "status"),
    ]
    with ThreadPoolExecutor(2) as pool:
        honest, accused, judging, well, punished = pool.map(lambda ask: net.nodeagent(*ask), words)

    def about(part: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = next(c for c in part["cases"] if (c["job"], c["shard"]) == key)
        return found

    assert about(honest)["roles"] == ["accuser", "outvoted"] and about(honest)["state"] == "overturned"
    assert set(about(honest)["wrong"]) <= set(ROGUES)
    assert [(r["job"], r["shard"], r["state"]) for r in honest["outvoted"]].count((*key, "won")) == 1
    assert about(accused)["roles"] == ["accused"] and about(accused)["due"] == 0
    assert about(judging)["roles"] == ["judge"]
    assert punished["slashed"] >= told.stakes[rogue] // 2 and punished["forfeited"] > 0
    assert (well["slashed"], well["forfeited"]) == (0, 0) and well["appeals"]["won"] >= 1


def test_close_case__claims_are_over__the_accuser_closes_it_and_is_never_paid_twice(told: Told) -> None:
    net, case = told.net, told.case
    view = net.court.case_of(case.job, case.shard)
    assert view is not None
    held = net.doors.market.job_view(case.case_job)["held"]
    net.mine_to_epoch(view.last + net.deployment.report_epochs + 1)
    if held:
        closed = until(
            "the close", lambda: next((e for e in net.events(ev.CaseClosed) if e.case_job == case.case_job), None)
        )
        assert closed.refund == held
    after = net.court.case_of(case.job, case.shard)
    assert after is not None and after.accuser_due == max(0, view.accuser_due - held)
    assert net.doors.market.job_view(case.case_job)["held"] == 0


def test_account_collect__whatever_the_market_owes__is_paid_once(told: Told) -> None:
    net = told.net
    shown = json.loads(net.quorate("account", "show", "--json").stdout)
    assert (shown["rewards"], shown["stake_token"]) == ("0", net.doors.stake_token.describe()[0])
    owed, had = net.doors.market.owed_to(shown["address"]), net.doors.payment_token.balance_of(shown["address"])
    done = json.loads(net.quorate("account", "collect", "--json").stdout)
    assert (done["rewards"], len(done["transactions"])) == (0, int(owed > 0)) and done["collected"] == owed
    assert net.doors.payment_token.balance_of(shown["address"]) == had + owed
