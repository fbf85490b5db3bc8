"""The money of one appeal in words, so that a reader can add it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.story.account import Account

Name = Callable[[int], str]
"""How a node is called."""
WIDTH, AMOUNT = 60, 16


def tell(account: Account, coins: Callable[[int], str], stake: Callable[[int], str], name: Name) -> Iterator[str]:
    """The lines. ``coins`` and ``stake`` write amounts of the two tokens."""
    money = account.money

    def line(what: str, amount: str, sign: str = "") -> str:
        return f"  {what:<{WIDTH}} {sign:>1} {amount:>{AMOUNT}}"

    yield f"the bond, from the operator of {name(account.accuser)}, whose agent appealed:"
    yield line("paid by the accuser", coins(money.bond))
    for node, amount in money.judge_pay.items():
        yield line(f"to {name(node)}, a judge that agreed", coins(amount), "-")
    yield line(
        f"to {name(money.settler) if money.settler else 'the sender'}, who settled the case", coins(money.settling), "-"
    )
    if account.closed is None:
        rest = f"not earned; stays in the case until it is closed (epoch {account.closable})"
    else:
        rest = "not earned; came back when the case was closed, below"
    yield line(rest, coins(account.unearned), "=")
    yield from _forfeits(account, coins, line, name)
    yield "the accuser's purse (wallet, owed and earned; gas is paid in ether):"
    yield line("before the appeal", coins(account.before.payment))
    for what, amount in account.moves.items():
        yield line(what, coins(abs(amount)), "-" if amount < 0 else "+")
    yield line("at the end", coins(account.after.payment), "=")
    yield "the stake:"
    for node, amount in money.slashed.items():
        yield line(f"{name(node)} was slashed", stake(amount))
    taken = sum(money.slashed.values())
    yield line("in all", stake(taken), "=")
    yield line("of that to the accuser, a tenth", stake(money.reward), "-")
    yield line("and to nobody: burned", stake(taken - money.reward), "=")
    yield line("the accuser's stake tokens before the appeal", stake(account.before.stake))
    yield line("and at the end", stake(account.after.stake), "=")
    yield line("honest nodes were slashed", stake(account.honest_slashed))


def _forfeits(account: Account, coins: Callable[[int], str], line: Callable[..., str], name: Name) -> Iterator[str]:
    money = account.money
    yield "pay of the liars that had not matured, for this and for other shards:"
    for node, amount in money.forfeited.items():
        yield line(f"{name(node)} forfeited", coins(amount), "+")
    if account.closed:
        yield line("and not earned by judges", coins(account.closed), "+")
    taken = sum(money.forfeited.values()) + (account.closed or 0)
    yield line("in all", coins(taken), "=")
    yield line("to the accuser first, until the bond is back", coins(money.returned), "-")
    yield line("to the requester, up to what the wrong shard cost", coins(money.refunded), "-")
    yield line("to nobody: burned", coins(money.burned), "=")
