"""What a run says: as JSON, and as tables for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lab.simulate.kinds import Kind
from lab.simulate.run import Count, Outcome, Party
from lab.simulate.world import Options
from nodeagent.cli.common import whole
from nodeagent.cli.requester_common import table

FORMAT = "quorate/simulate/1"
DECIMALS = 6
"""Of the one coin that pay and stake are counted in."""


def as_json(mix: Outcome, sweep: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """The whole report. Money in millionths of a coin; ``scenarios`` has one entry per population."""
    return {
        "format": FORMAT,
        "options": options_json(mix.options),
        "seconds": round(seconds, 3),
        "scenarios": [scenario(name_of(outcome), outcome) for outcome in (mix, *sweep)],
    }


def name_of(outcome: Outcome) -> str:
    """The population in words: ``honest=0.7,cartel=0.3``."""
    return ",".join(f"{kind.title}={round(share, 9):g}" for kind, share in outcome.options.mix.items())


def options_json(options: Options) -> dict[str, Any]:
    """The options, kinds by name."""
    fields = asdict(options)
    fields["mix"] = {kind.title: share for kind, share in options.mix.items()}
    return fields


def scenario(name: str, outcome: Outcome) -> dict[str, Any]:
    """One population. ``adversary_net`` and ``honest_net`` are per seat."""
    bad, seats = 0, 0
    for party in outcome.parties:
        if party.kind != Kind.HONEST.title:
            bad, seats = bad + party.net, seats + party.seats
    entry: dict[str, Any] = {
        "name": name,
        "cartel_share": outcome.cartel_share,
        "nodes": outcome.options.nodes,
        "shards": outcome.shards,
        "adversary_net": bad / seats if seats else 0.0,
        "honest_net": honest_net(outcome),
        "honest_slashed": outcome.honest_slashed,
        "wrong_verdicts": outcome.counts.get("wrong_verdicts", 0),
        "expected_wrong_verdicts": outcome.expected_wrong_verdicts,
    }
    for field in ("wrong_settled", "wrong_final", "contested", "expired"):
        count: Count = getattr(outcome, field)
        entry[field] = count.measured
        entry[f"expected_{field}"] = count.expected
        entry[f"interval_{field}"] = [count.low, count.high]
    return entry | {
        "closed_form": outcome.closed,
        "counts": outcome.counts,
        "parties": [_party(party, honest_net(outcome)) for party in outcome.parties],
        "money": outcome.money,
        "requester_net": outcome.requester_net,
        "epochs": outcome.epochs,
        "seconds": round(outcome.seconds, 3),
    }


def honest_net(outcome: Outcome) -> float:
    """Net of one honest seat."""
    return next((p.net_per_seat for p in outcome.parties if p.kind == Kind.HONEST.title), 0.0)


def adversary_net(outcome: Outcome) -> float:
    """Net of one of the cartel's seats."""
    return next((p.net_per_seat for p in outcome.parties if p.kind == Kind.CARTEL.title), 0.0)


def _party(party: Party, honest: float) -> dict[str, Any]:
    return asdict(party) | {"net_per_seat": party.net_per_seat, "against_honest": party.net_per_seat - honest}


# --- for a person -------------------------------------------------------------------------------------------


def coins(amount: float) -> str:
    """Millionths of a coin as coins."""
    return whole(round(amount), DECIMALS)


def show(mix: Outcome, sweep: Sequence[Outcome]) -> str:
    """Both tables and what was expected."""
    parts = [_parties(mix), _results(mix)]
    if sweep:
        parts.append(_sweep(sweep))
    return "\n\n".join(parts)


def absent(outcome: Outcome) -> list[str]:
    """Kinds of the mix that are nobody, because their share of the stake is less than a node's."""
    there = {party.kind for party in outcome.parties}
    seats = sum(party.seats for party in outcome.parties)
    nodes = f"{outcome.options.nodes} nodes with {seats} seats"
    return [
        f"warning: nobody is {kind.title}: {share:g} of the stake is less than one of {nodes}"
        for kind, share in outcome.options.mix.items()
        if share > 0 and kind.title not in there
    ]


def _parties(outcome: Outcome) -> str:
    head = ["kind", "nodes", "seats", "drawn", "slashes", "paid", "forfeited", "slashed", "bonds net", "rewards"]
    rows = [[*head, "net per seat", "against honest"]]
    honest = honest_net(outcome)
    for p in outcome.parties:
        money = [coins(x) for x in (p.paid, p.forfeited, p.slashed)]
        more = [coins(x) for x in (-p.appeals_cost, p.rewards, p.net_per_seat, p.net_per_seat - honest)]
        rows.append([p.kind, *(f"{n:,}" for n in (p.nodes, p.seats, p.duties, p.slashes)), *money, *more])
    return table(rows)


def _results(outcome: Outcome) -> str:
    rows = [["of shards", "measured", "expected", "99.9 % of runs", ""]]
    for field in ("wrong_settled", "wrong_final", "contested", "expired"):
        c: Count = getattr(outcome, field)
        range_ = f"{c.low:,} to {c.high:,}"
        rows.append([field.replace("_", " "), f"{c.measured:,}", f"{c.expected:,.1f}", range_, _verdict(c)])
    o = outcome
    lines = [
        table(rows),
        f"{o.shards:,} shards over {o.epochs} epochs, {o.counts.get('appeals', 0):,} appeals: "
        f"{o.counts.get('overturned', 0):,} overturned, {o.counts.get('upheld', 0):,} upheld; "
        f"{o.counts.get('wrong_verdicts', 0):,} wrong verdicts, {o.expected_wrong_verdicts:,.1f} expected; "
        f"{o.honest_slashed:,} honest nodes slashed by them",
        f"money: {coins(o.money['paid_in'])} paid in, all accounted for; {coins(o.money['burned'])} burned; "
        f"stake: {coins(o.money['burned_stake'])} burned, {coins(o.money['rewards'])} to reporters",
    ]
    return "\n".join(lines)


def _verdict(count: Count) -> str:
    return "" if count.inside else "outside"


def _sweep(sweep: Sequence[Outcome]) -> str:
    head = ["cartel", "wrong settled", "expected", "closed form", "wrong final", "expected", "closed form"]
    rows = [[*head, "cartel net per seat", "honest net per seat"]]
    for o in sweep:
        rates = [
            *(f"{x / o.shards:.3g}" for x in (o.wrong_settled.measured, o.wrong_settled.expected)),
            f"{o.closed['wrong_settled']:.3g}",
            *(f"{x / o.shards:.3g}" for x in (o.wrong_final.measured, o.wrong_final.expected)),
            f"{o.closed['wrong_final']:.3g}",
        ]
        rows.append([f"{o.cartel_share:.1%}", *rates, coins(adversary_net(o)), coins(honest_net(o))])
    return table(rows)
