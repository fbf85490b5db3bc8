"""``quorate job appeal``, ``resolve``, ``report``: a bigger committee computes a shard again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nodeagent.amounts import priced
from nodeagent.cli.common import WholeNumber, print_json, say
from nodeagent.cli.requester_common import Session, confirm_no

if TYPE_CHECKING:
    from nodeagent.chain.events import Event
    from nodeagent.client.wallet import Sent

JOB = click.argument("number", type=WholeNumber(1), metavar="JOB")
SHARD = click.argument("shard", type=WholeNumber(0), metavar="SHARD")
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")
YES = click.option("--yes", "-y", is_flag=True, help="do not ask")


@click.command("appeal")
@JOB
@SHARD
@YES
@JSON
@click.pass_obj
def appeal(session: Session, number: int, shard: int, yes: bool, as_json: bool) -> None:
    """Have a bigger, fresh committee compute a settled SHARD of JOB again.

    The bond pays the judges. If they overturn the settled answer it comes back from what the wrong members forfeit, as
    far as that reaches; if they confirm it, it is spent; if they do not agree, it is burned. One appeal a shard, within
    its window.
    """
    from nodeagent.client.appealing import Appellant

    appellant, history = Appellant(session.rpc, session.deployment), session.history(number)
    plan = appellant.plan(history, shard)
    say(f"shard     {shard} of job {number}, settled with root 0x{plan.receipt.result_root.hex()}")
    say(f"court     {plan.judges} judges; appeals are open until epoch {plan.until}")
    say(f"bond      {session.money(plan.bond)}: spent if the answer is confirmed, burned if no verdict comes")
    if plan.covered is not None:
        short = "" if plan.covered >= plan.bond else ": an overturn brings back no more of the bond"
        say(f"covered   {session.money(plan.covered)} of pay that its members would forfeit now{short}")
    confirm_no(f"Pay {session.money(plan.bond)} and appeal?", yes)
    case, sent = appellant.appeal(history, plan, session.wallet)
    if as_json:
        told = {"job": number, "shard": shard, "case": case, "bond": plan.bond, "covered": plan.covered}
        print_json({**told, "tx": [s.tx for s in sent]})
        return
    click.echo(case)
    say(f"job {case} is the case; then: quorate job why {number} {shard}")


@click.command("resolve")
@JOB
@SHARD
@JSON
@click.pass_obj
def resolve(session: Session, number: int, shard: int, as_json: bool) -> None:
    """End the appeal of a SHARD of JOB once its judges agreed or cannot any more. Agents usually do this.

    Once it is resolved and the case's deadlines are over, the same command takes back for the accuser and the requester
    what the judges did not earn. JSON amounts are integers in the token's smallest unit.
    """
    from nodeagent.chain.events import CaseClosed, EndedWithoutVerdict, Resolved
    from nodeagent.client.appealing import Appellant

    history = session.history(number)
    sent = Appellant(session.rpc, session.deployment).resolve(history, shard, session.wallet)
    done = "resolved" if history.cases[shard].verdict is None else "closed"
    event = next(e for e in _events(sent) if isinstance(e, Resolved | EndedWithoutVerdict | CaseClosed))
    if as_json:
        amounts = {name: getattr(event, name, None) for name in ("forfeited", "burned", "refund")}
        print_json({"job": number, "shard": shard, "tx": sent.tx, "case": done, **amounts})
        return
    then = f"quorate job why {number} {shard}"
    match event:
        case Resolved(overturned=True):
            words = f"the settled answer is OVERTURNED, {session.money(event.forfeited)} of pay is forfeited"
            then = f"quorate job report {number} {shard}"
        case Resolved():
            words = "the settled answer is UPHELD"
        case EndedWithoutVerdict():
            words = f"no verdict came, the bond of {session.money(event.burned)} is burned"
        case CaseClosed():
            words = f"{session.money(event.refund)} that no judge earned came back"
    say(f"{done} in {sent.tx}: {words}; then: {then}")


def _events(sent: Sent) -> list[Event | None]:
    from nodeagent.chain.decoding import decode_log

    return [decode_log(log) for log in sent.logs]


@click.command("report")
@JOB
@SHARD
@YES
@JSON
@click.pass_obj
def report(session: Session, number: int, shard: int, yes: bool, as_json: bool) -> None:
    """Prove every answer to a SHARD of JOB that its verdict calls wrong: whoever opened it loses stake.

    A tenth of the slash is the accuser's; after an overturn, once he has let some epochs pass, it is yours: quorate
    account collect. Agents of nodes that appealed do this by themselves, and so do those with nodeagent run --report.
    JSON amounts are integers in the stake token's smallest unit.
    """
    from nodeagent.chain.events import Slashed
    from nodeagent.client.reporting import plan_report
    from nodeagent.protocol.constants import OPEN_ENDED

    plan = plan_report(session.rpc, session.deployment, session.history(number), shard)
    for one in plan.wrong:
        say(f"wrong     node {one.node}, attempt {one.attempt}, slot {one.slot}: root 0x{one.root.hex()}")
    earns = plan.earns(session.address)
    if not earns:
        until = "always" if plan.accuser_until == OPEN_ENDED else f"until epoch {plan.accuser_until}"
        say(f"reward    {until} the accuser's, {plan.accuser}; it is epoch {plan.now}")
        confirm_no("Report for nothing?", yes)
    sent = [session.wallet.send(call) for call in (*plan.seeds, *(one.call for one in plan.wrong))]
    slashes = [e for done in sent for e in _events(done) if isinstance(e, Slashed)]
    if as_json:
        nodes = [int(one.node) for one in plan.wrong]
        rows = [{"node": e.node, "stake": e.amount, "reward": e.reward} for e in slashes]
        told = {"job": number, "shard": shard, "nodes": nodes, "rewarded": earns, "slashed": rows}
        print_json({**told, "tx": [s.tx for s in sent]})
        return
    stake = session.doors.stake_token.describe()
    for slash in slashes:
        lost, reward = priced(slash.amount, stake), priced(slash.reward, stake)
        say(f"slashed   node {slash.node}: {lost}, of which {reward} is the reward")
    then = "quorate account collect" if earns else f"quorate job why {number} {shard}"
    say(f"{len(plan.wrong)} reported; then: {then}")
