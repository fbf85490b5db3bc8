"""Handing a deployment over, usually to a multisig: grant, read back, renounce. In this order, ADMIN last, so that at
no moment nobody is in charge. An interrupted handover goes on when it is run again."""

from __future__ import annotations

from scripts._lib.administration import Admin
from scripts._lib.errors import ScriptError


def hand_over(admin: Admin, heir: str, delay: int, *, keep: bool, allow_eoa: bool) -> None:
    """Moves every role of the sender to ``heir``. ``delay`` is the execution delay of the heir's ADMIN role; other
    roles keep the delay they have. Raises ScriptError, with the roles as they stand recorded."""
    own = admin.sender.address
    if heir == own:
        raise ScriptError(f"{heir} is the sender itself", hint="name the account that takes over")
    if not allow_eoa and not admin.session.chain.code(heir):
        raise ScriptError(
            f"{heir} has no code on chain {admin.session.chain.chain_id}: it is not a multisig",
            hint="deploy the multisig first, or add --allow-eoa if a plain account is meant",
        )
    held = {role: accounts[own] for role, accounts in admin.holders().items() if own in accounts}
    if not held:
        raise ScriptError(f"{own} holds no role to hand over", hint="`ape run admin roles show` says who does")
    admin.say(f"handover: {', '.join(held)} from {own} to {heir}")
    for role in (*(role for role in held if role != "ADMIN"), *(("ADMIN",) if "ADMIN" in held else ())):
        admin.grant(role, heir, delay if role == "ADMIN" else held[role])
    admin.remember_roles()
    waiting = [role for role in held if not admin.is_active(role, heir)]
    if waiting:
        raise ScriptError(
            f"{heir} cannot use {', '.join(waiting)} yet (notice or grant delay); nothing was renounced",
            hint="run the same command again when the delay is over",
        )
    if keep:
        admin.say(f"{own} keeps its roles; run again without --keep to renounce them")
        return
    for role in (*(role for role in held if role != "ADMIN"), *(("ADMIN",) if "ADMIN" in held else ())):
        admin.renounce(role)
        admin.remember_roles()
    admin.say(f"handed over: {heir} holds {', '.join(held)}; {own} holds none of them")
