"""What a run says, as JSON and as tables; and whether it came out as it must."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from lab.expected import HONEST
from lab.run import Outcome, honest
from lab.scenario import Basis
from lab.simulate.expected import binomial_interval
from lab.stage import COMMITTEE
from lab.tally import COIN, ETHER, ETHER_PRICE, STAKE_PRICE, STAKE_UNIT, Party, Results
from nodeagent.cli.common import whole
from nodeagent.cli.requester_common import table

FORMAT = "quorate/lab/1"
REPORTED, REFUSED = 0.95, 0.9999
"""Level of the interval that is printed, and of the one that a run must not leave."""
ATTACKS: Mapping[str, tuple[str, Callable[[Party, Results], bool]]] = {
    "lazy": ("opened what the others did not", lambda party, _: party.opened > party.paid),
    "flipflopper": ("opened what the others did not", lambda party, _: party.opened > party.paid),
    "withholder": ("was punished for what it never opened", lambda party, _: not party.opened and party.unrevealed > 0),
    "ghost": ("was punished for being away", lambda party, _: not party.opened and party.absent > 0),
    "copier": ("sent what was refused, and opened nothing", lambda party, _: not party.opened and party.refused > 0),
    "enumerator": ("was punished for what did not open", lambda party, _: party.unrevealed > 0),
    "cartel": (
        "sold its answer, or tried to",
        lambda party, found: found.wrong_settled > 0 or party.opened > party.paid,
    ),
    "accuser": ("put bonds on right answers", lambda party, found: party.bonds > 0 and found.appeals > 0),
    "sybil": ("worked", lambda party, _: party.opened > 0),
    "hole-maker": ("worked until it left", lambda party, _: party.opened > 0),
    "censor": ("left members out", lambda _, found: found.left_out_by_adversary > 0),
}
"""By a party's name: what shows that it did what it is there for. A run in which it did not shows nothing."""


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All scenarios. Nets are coins per seat: payment tokens, stake at ``stake_price``, gas at ``ether_price``."""
    return {
        "format": FORMAT,
        "stake_price": STAKE_PRICE,
        "ether_price": ETHER_PRICE,
        "scenarios": [entry(outcome) for outcome in outcomes],
    }


def entry(outcome: Outcome) -> dict[str, Any]:
    """One scenario."""
    results, expected, shards = outcome.results, outcome.expected, outcome.results.shards
    found: dict[str, Any] = {
        "name": outcome.scenario.name,
        "about": outcome.scenario.about,
        "seed": outcome.seed,
        "epochs": outcome.epochs,
        "shards": shards,
        "against": outcome.scenario.basis.value,
        "adversary_net": adversary_net(outcome),
        "honest_net": honest_net(outcome),
        "honest_seat_net": honest(outcome).net_per_seat,
        "honest_slashed": honest(outcome).slashes,
    }
    for name in ("wrong_settled", "wrong_final", "contested"):
        chance: Fraction = getattr(expected, name)
        found[name] = getattr(results, name)
        found[f"expected_{name}"] = float(shards * chance)
        found[f"interval_{name}"] = list(binomial_interval(shards, float(chance), REPORTED))
    found |= {
        "wrong_final_share": _share(results.wrong_final, results.wrong_settled),
        "expected_wrong_final_share": _share(expected.wrong_final, expected.wrong_settled),
        "expired": results.expired,
        "appeals": results.appeals,
        "overturned": results.overturned,
        "left_out": results.left_out,
        "left_out_by_adversary": results.left_out_by_adversary,
        "grief_cost": outcome.grief_cost,
        "parties": [_party(outcome, party) for party in outcome.parties],
        "checks": verdict(outcome),
        "seconds": round(outcome.seconds, 1),
    }
    return found | {"passed": all(found["checks"].values())}


def _share(part: float | Fraction, whole: float | Fraction) -> float | None:
    return float(part / whole) if whole else None


# --- verdict ------------------------------------------------------------------------------------------------


def adversaries(outcome: Outcome) -> list[Party]:
    """Every party that is not honest."""
    return [party for party in outcome.parties if party.name != HONEST]


def adversary_net(outcome: Outcome) -> float:
    """Coins a seat of the adversary gained; of a griefing requester, what it gained in all."""
    if outcome.grief_cost is not None:
        return outcome.grief_cost
    parties = adversaries(outcome)
    seats = sum(party.seats for party in parties)
    if outcome.scenario.basis is Basis.DRAWS:
        return sum(_at_expected_draws(outcome, party) * party.seats for party in parties) / seats
    return sum(party.net for party in parties) / seats


def honest_net(outcome: Outcome) -> float:
    """What that is held against, in coins per seat."""
    if outcome.scenario.basis is Basis.DRAWS:
        return _at_expected_draws(outcome, honest(outcome))
    if outcome.scenario.basis is Basis.OWN:
        seats = sum(party.seats for party in adversaries(outcome))
        return adversary_net(outcome) + outcome.results.forgone_fees / COIN / seats
    return honest(outcome).net_per_seat


def _at_expected_draws(outcome: Outcome, party: Party) -> float:
    """Net of one seat, had the party been drawn as often as an average seat of the pool is expected to be."""
    seats = sum(p.seats for p in outcome.parties)
    return party.net / max(1, party.drawn) * outcome.results.shards * COMMITTEE / seats


def verdict(outcome: Outcome) -> dict[str, bool]:
    """What must hold, in words, and whether it does."""
    bad, good, results = adversary_net(outcome), honest_net(outcome), outcome.results
    checks = dict(outcome.checks)
    checks["no honest node was slashed"] = honest(outcome).slashes == 0
    for name in ("wrong_settled", "wrong_final", "contested"):
        low, high = binomial_interval(results.shards, float(getattr(outcome.expected, name)), REFUSED)
        checks[f"{name.replace('_', ' ')} as often as expected"] = low <= getattr(results, name) <= high
    checks["whoever gave the right answer was paid where it stands"] = results.unclaimed == 0
    for party in adversaries(outcome):
        words, took_place = ATTACKS[party.name]
        checks[f"the {party.name} {words}"] = took_place(party, results)
    if outcome.scenario.basis in (Basis.HONEST, Basis.OWN):
        checks["the adversary ends below honest"] = bad < good
    if outcome.scenario.basis is Basis.DRAWS:
        checks["the return of a seat is an honest seat's"] = abs(bad - good) <= _sampling_error(outcome) * good
        for party in adversaries(outcome):
            share = outcome.shares[party.name] * party.seats
            low, high = binomial_interval(results.shards * COMMITTEE, share / COMMITTEE, REFUSED)
            checks[f"{party.name} was drawn as often as its seats say"] = low <= party.drawn <= high
    return checks


def _sampling_error(outcome: Outcome) -> float:
    """Half the width of the adversary's interval of draws, as a share of their expected number."""
    share = sum(outcome.shares[party.name] * party.seats for party in adversaries(outcome))
    low, high = binomial_interval(outcome.results.shards * COMMITTEE, share / COMMITTEE, REPORTED)
    return (high - low) / 2 / (outcome.results.shards * share)


# --- for a person -------------------------------------------------------------------------------------------


def _party(outcome: Outcome, party: Party) -> dict[str, Any]:
    fields = asdict(party)
    change = fields.pop("change")
    return fields | {
        "gas_wei": -change["wei"],
        "payment_change": change["payment"],
        "stake_change": change["stake"],
        "expected_drawn": outcome.shares[party.name] * party.seats * outcome.results.shards,
        "expected_draws_per_seat": outcome.shares[party.name],
        "net": party.net,
        "net_per_seat": party.net_per_seat,
        "against_honest": party.net_per_seat - honest(outcome).net_per_seat,
    }


def show(outcome: Outcome) -> str:
    """A scenario's tables."""
    head = ["party", "nodes", "seats", "drawn", "judged", "opened", "paid", "earned", "immature", "claims", "forfeited"]
    rows = [[*head, "slashed", "rewards", "bonds", "back", "gas", "net/seat", "vs honest"]]
    for party in outcome.parties:
        counts = (party.nodes, party.seats, party.drawn, party.judged, party.opened, party.paid)
        pay = (party.earned + party.fees, party.immature, party.claimed, party.forfeited)
        against = party.net_per_seat - honest(outcome).net_per_seat
        rows.append(
            [
                party.name,
                *map(str, counts),
                *(_coins(amount) for amount in pay),
                f"{party.slashed / STAKE_UNIT:,.2f}",
                f"{party.rewards / STAKE_UNIT:,.2f}",
                _coins(party.bonds),
                _coins(party.returned),
                f"{-party.change.wei / ETHER:.6f}",
                f"{party.net_per_seat:,.2f}",
                f"{against:+,.2f}",
            ]
        )
    found = entry(outcome)
    lines = [table(rows), ""]
    for name in ("wrong_settled", "wrong_final", "contested"):
        low, high = found[f"interval_{name}"]
        lines.append(
            f"{name.replace('_', ' '):<14} {found[name]:>4} of {found['shards']}, "
            f"expected {found[f'expected_{name}']:.1f} ({low} to {high} in 95 % of runs)"
        )
    lines.append(_final_words(found))
    lines += _nets(outcome, found)
    if outcome.scenario.basis is Basis.DRAWS:
        shares = (f"{party.name} {outcome.shares[party.name]:.3f}" for party in outcome.parties)
        lines.append(f"draws of a seat per shard, expected: {', '.join(shares)}: a committee is distinct nodes")
    lines += [f"{'ok    ' if ok else 'FAILED'} {what}" for what, ok in found["checks"].items()]
    return "\n".join(lines)


def _final_words(found: dict[str, Any]) -> str:
    """What share of the wrong results became final, and of how many."""
    expected = found["expected_wrong_final_share"]
    words = "none were expected to be wrong" if expected is None else f"expected {expected:.1%} of them"
    if not found["wrong_settled"]:
        return f"no wrong result settled, {found['wrong_final']} became final: {words}"
    share = f"{found['wrong_final_share']:.1%}"
    return f"{found['wrong_final']} of {found['wrong_settled']} wrong results became final: {share}, {words}"


def _nets(outcome: Outcome, found: dict[str, Any]) -> list[str]:
    """What the adversary gained, what that is held against, and what a real honest seat gained."""
    bad, good, seat = (f"{found[name]:,.2f}" for name in ("adversary_net", "honest_net", "honest_seat_net"))
    if outcome.grief_cost is not None:
        return [f"the requester gained {bad} coins in all; a real honest seat of this pool: {seat}"]
    words = f"{found['against']}: {good}; a real honest seat of this pool: {seat}"
    lines = [f"net coins of a seat: the adversary's {bad}; {words}"]
    if outcome.scenario.basis is Basis.OWN:
        lines.append(
            f"settle calls that paid the adversary left out {found['left_out_by_adversary']} members who had answered "
            f"so in time; the fees of these are what it gave up. Calls of all left out {found['left_out']}"
        )
    return lines


def summary(entries: Sequence[dict[str, Any]]) -> str:
    """One row per scenario. ``held against`` is ``honest_net``, on the scenario's own basis."""
    head = [
        "scenario",
        "shards",
        "adversary net",
        "held against",
        "honest seat",
        "wrong settled",
        "expected",
        "wrong final",
        "expected",
    ]
    rows = [[*head, "contested", "expected", "honest slashed", ""]]
    for found in entries:
        nets = [f"{found[name]:,.2f}" for name in ("adversary_net", "honest_net", "honest_seat_net")]
        rates = [
            text
            for name in ("wrong_settled", "wrong_final", "contested")
            for text in (str(found[name]), f"{found[f'expected_{name}']:.1f}")
        ]
        end = [str(found["honest_slashed"]), "ok" if found["passed"] else "FAILED"]
        rows.append([found["name"], str(found["shards"]), *nets, *rates, *end])
    return table(rows)


def _coins(amount: int) -> str:
    return whole(amount, 6)
