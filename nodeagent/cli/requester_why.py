"""``quorate job why``: what happened to a shard."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from nodeagent.cli.common import print_json
from nodeagent.cli.requester_appeal import JOB, SHARD
from nodeagent.cli.requester_common import Session

if TYPE_CHECKING:
    from nodeagent.chain.events import Claimed
    from nodeagent.client.attempts import Attempt
    from nodeagent.client.cases import Settlement
    from nodeagent.client.payments import Wages
    from nodeagent.client.why import Facts


@click.command("why")
@JOB
@SHARD
@click.option("--json", "as_json", is_flag=True, help="print JSON; amounts are integers in the token's smallest unit")
@click.pass_obj
def why(session: Session, number: int, shard: int, as_json: bool) -> None:
    """Tell what happened to a SHARD of JOB, attempt by attempt: who was drawn, who answered what, who was paid.

    Of an appealed one also what its judges earned and what of the bond came or comes back.
    """
    from nodeagent.client.why import gather, tell

    facts = gather(session.rpc, session.deployment, session.history(number), shard)
    if not as_json:
        click.echo("\n".join(tell(facts)))
        return
    print_json(
        {
            "job": number,
            "shard": shard,
            "epoch": facts.now,
            "status": facts.status.name,
            "attempts": [_attempt(a) for a in facts.attempts],
            "settled": _settled(facts.settlement, facts.wages),
            "claims": [_claim(c) for c in facts.claims],
            "case": _case(facts),
            "story": tell(facts),
        }
    )


def _attempt(attempt: Attempt) -> dict[str, Any]:
    members = None if attempt.members is None else [int(m.node) for m in attempt.members]
    answers = [{**asdict(a), "root": "0x" + a.root.hex(), "manifest": "0x" + a.manifest.hex()} for a in attempt.answers]
    return {
        "attempt": attempt.number,
        "start": attempt.start,
        "commit": attempt.commit,
        "members": members,
        "answers": answers,
    }


def _settled(settled: Settlement | None, wages: Wages | None) -> dict[str, Any] | None:
    """``settler`` 0: the fee went to the account that sent it. A paid ``node`` is null where no draw is known."""
    if settled is None or wages is None:
        return None
    return {
        "epoch": settled.epoch,
        "attempt": settled.entry.attempt,
        "root": "0x" + settled.entry.root.hex(),
        "tx": settled.at.tx,
        "paid": [asdict(p) for p in wages.paid],
        "settler": int(wages.settler),
        "settle_fee": wages.fee,
    }


def _claim(claim: Claimed) -> dict[str, int]:
    return {"node": claim.node, "slot": claim.slot, "amount": claim.amount}


def _case(facts: Facts) -> dict[str, Any] | None:
    """``returned`` and ``to_come``: what came back so far, and what does from epoch ``closable_from`` on."""
    case, bond = facts.case, facts.bond
    if case is None or bond is None:
        return None
    return {
        "job": int(case.job),
        "accuser": case.accuser,
        "bond": case.bond,
        "verdict": None if case.verdict is None else "0x" + case.verdict.hex(),
        "overturned": case.overturned,
        "burned": case.burned,
        "attempts": [_attempt(a) for a in facts.trials],
        "wrong": [int(w.node) for w in case.wrong],
        "settled": _settled(case.settlement, facts.judging),
        "claims": [_claim(c) for c in case.claims],
        "forfeited": case.forfeited,
        "reports": [
            {"node": w.node, "attempt": w.attempt, "reporter": w.reporter, "forfeited": w.forfeited} for w in case.wrong
        ],
        "earned": bond.earned,
        "refund": case.refund,
        "returned": {"accuser": bond.returned.accuser, "requester": bond.returned.requester},
        "to_come": {"accuser": bond.to_come.accuser, "requester": bond.to_come.requester},
        "closable_from": facts.closable,
    }
