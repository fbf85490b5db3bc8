"""Roles of the AccessManager: which there are, what each may call, who holds them.

Two of the AccessManager's own roles exist beside ours: ADMIN (0), which grants and revokes, and PUBLIC.
``NodeRegistry.wire`` stays with ADMIN: it works once, at deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_utils import to_checksum_address

from scripts._lib.chain import Chain, Deployed

ADMIN = 0


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """A role's number and the restricted functions it may call, as ``Contract.function``."""

    id: int
    functions: tuple[str, ...]


ROLES: dict[str, RoleSpec] = {
    "POOLS": RoleSpec(1, ("NodeRegistry.createPool", "NodeRegistry.tunePool")),
    "FEES": RoleSpec(2, ("JobMarket.setProtocolFee",)),
    "PAUSER": RoleSpec(3, ("NodeRegistry.pause", "NodeRegistry.unpause", "JobMarket.pause", "JobMarket.unpause")),
    "MINTER": RoleSpec(4, ("QuorateToken.mint",)),
}
ADMIN_FUNCTIONS = ("NodeRegistry.wire",)
ROLE_IDS = {"ADMIN": ADMIN, **{name: spec.id for name, spec in ROLES.items()}}

Holders = dict[str, dict[str, int]]  # role -> account -> execution delay in seconds


def holders(chain: Chain, authority: Deployed, since: int) -> Holders:
    """Who holds what, as the chain has it: everyone who was ever granted a role is asked about."""
    topic = authority.interface.topic("RoleGranted")
    names = {number: name for name, number in ROLE_IDS.items()}
    found: Holders = {name: {} for name in ROLE_IDS}
    for log in chain.logs(authority.address, [topic], since):
        role = int(log["topics"][1], 16)
        account = to_checksum_address("0x" + log["topics"][2][-40:])
        name = names.get(role, f"role {role}")
        access = authority.read("getAccess", role, account)
        if access["since"] != 0:
            found.setdefault(name, {})[account] = int(access["currentDelay"])
    return found


def function_roles(authority: Deployed, contracts: Mapping[str, Deployed]) -> dict[str, int]:
    """The role number that each restricted function asks for on chain."""
    found = {}
    for full in [*ADMIN_FUNCTIONS, *(name for spec in ROLES.values() for name in spec.functions)]:
        contract, function = full.split(".")
        target = contracts[contract]
        found[full] = int(authority.read("getTargetFunctionRole", target.address, target.interface.selector(function)))
    return found


def wanted_function_roles() -> dict[str, int]:
    """The role number that each restricted function should ask for."""
    wanted = dict.fromkeys(ADMIN_FUNCTIONS, ADMIN)
    for spec in ROLES.values():
        wanted.update(dict.fromkeys(spec.functions, spec.id))
    return wanted


def describe(role_holders: Holders) -> list[str]:
    """One line a role."""
    lines = []
    for name, accounts in role_holders.items():
        who = ", ".join(f"{account} (delay {delay} s)" if delay else account for account, delay in accounts.items())
        lines.append(f"{name}: {who or 'nobody'}")
    return lines
