"""What stands on chain, compared with what was meant: code, constants, wiring, roles, terms.

A *fault* means that the deployment is not what its record says. A *note* is a difference that an administrator may
have made on purpose since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak, to_checksum_address

from scripts._lib.abi import selector_of
from scripts._lib.artifacts import Artifact
from scripts._lib.chain import ZERO, Chain, Deployed, RpcError
from scripts._lib.errors import ScriptError
from scripts._lib.params import Params, PaymentToken
from scripts._lib.record import Record
from scripts._lib.roles import Holders, function_roles, holders, wanted_function_roles

# Getters that are recorded, by contract.
GETTERS = {
    "QuorateToken": ("CAP",),
    "NodeRegistry": ("EPOCH_BLOCKS", "RING", "LEAD", "UNBONDING"),
    "CommitLedger": ("REVEAL_GRACE", "UNREVEALED_BPS", "MAX_LEAVES"),
    "JobMarket": ("SETTLE_GRACE", "REPORT_EPOCHS", "SETTLE_FEE_BPS", "ABSENT_BPS"),
    "Court": ("JUDGES", "WRONG_BPS"),
}
# Who points at whom; a court that was not deployed is the zero address.
LINKS: dict[str, dict[str, str]] = {
    "QuorateToken": {"authority": "AccessManager"},
    "NodeRegistry": {
        "authority": "AccessManager",
        "stakeToken": "QuorateToken",
        "ledger": "CommitLedger",
        "market": "JobMarket",
        "court": "Court",
    },
    "CommitLedger": {"registry": "NodeRegistry"},
    "JobMarket": {
        "authority": "AccessManager",
        "registry": "NodeRegistry",
        "ledger": "CommitLedger",
        "paymentToken": "PaymentToken",
        "court": "Court",
    },
    "Court": {"registry": "NodeRegistry", "ledger": "CommitLedger", "market": "JobMarket"},
}


@dataclass(slots=True)
class Findings:
    """Outcome of a read-back."""

    parameters: dict[str, int] = field(default_factory=dict)
    roles: Holders = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_code(chain: Chain, record: Record, artifacts: Mapping[str, Artifact]) -> list[str]:
    """Every recorded contract has its recorded code. Returns the names whose code this checkout does not compile to.

    Raises ScriptError at the first that has not, and for an unfinished deployment also when the sources changed.
    """
    genesis = chain.block(0)["hash"]
    if record.genesis != genesis:
        raise ScriptError(
            f"the record is of another chain with id {record.chainId}: its block 0 is {record.genesis}, "
            f"this one's is {genesis}",
            hint="a devnet that was started again? then add --fresh: the old record is set aside",
        )
    others: list[str] = []
    for name, entry in record.contracts.items():
        code = chain.code(entry.address)
        if not code:
            raise ScriptError(
                f"{name} is recorded at {entry.address}, where this chain has no code",
                hint="a devnet that was reset? then add --fresh; otherwise the node is not in sync, try again later",
            )
        if "0x" + keccak(code).hex() != entry.codeHash:
            raise ScriptError(
                f"{name} at {entry.address} has code hash 0x{keccak(code).hex()}, recorded is {entry.codeHash}",
                hint="the record belongs to another deployment: restore it, or add --fresh to deploy again",
            )
        artifact = artifacts.get("TestStablecoin" if name == "PaymentToken" and entry.tx else name)
        if artifact is not None and not artifact.matches(code):
            others.append(name)
    if others and not record.complete:
        raise ScriptError(
            f"{', '.join(others)} were deployed from other sources than these, and the deployment is not finished",
            hint="check out the version it was begun with to finish it, or add --fresh to deploy this one",
        )
    return others


def read_payment_token(chain: Chain, wanted: PaymentToken) -> None:
    """The token that exists says what the parameters say of it. Raises ScriptError otherwise."""
    if not chain.code(wanted.address):
        raise ScriptError(f"PaymentToken.address {wanted.address} has no code on chain {chain.chain_id}")
    said: dict[str, Any] = {}
    for name, kind in (("symbol", "string"), ("decimals", "uint8")):
        try:
            answer = chain.call(wanted.address, keccak(text=f"{name}()")[:4])
            said[name] = decode([kind], answer)[0]
        except (RpcError, DecodingError) as error:
            raise ScriptError(f"PaymentToken.address {wanted.address} does not answer {name}()") from error
    for name, expected in (("symbol", wanted.symbol), ("decimals", wanted.decimals)):
        if said[name] != expected:
            raise ScriptError(
                f"PaymentToken.{name}: expected {expected!r}, the token at {wanted.address} says {said[name]!r}",
                hint="check the address; nothing was sent",
            )


def read_back(chain: Chain, contracts: Mapping[str, Deployed], record: Record, params: Params) -> Findings:
    """Reads every constant, link, role and term and compares."""
    found = Findings()
    if params.court != ("Court" in contracts):
        there, wanted = ("a court", "none") if "Court" in contracts else ("no court", "one")
        found.faults.append(
            f"this deployment has {there}, {params.path.name} wants {wanted}: it is fixed for this deployment; restore "
            "the file, or add --fresh to deploy again"
        )
    _constants(contracts, params, found)
    _links(contracts, found)
    _functions(contracts, found)
    _roles(chain, contracts, record, params, found)
    _pools(contracts, params, found)
    return found


def _constants(contracts: Mapping[str, Deployed], params: Params, found: Findings) -> None:
    for contract, getters in GETTERS.items():
        if contract not in contracts:
            continue
        wanted = {_getter(name): value for name, value in params.constructor.get(contract, {}).items()}
        for getter in getters:
            value = found.parameters[getter] = int(contracts[contract].read(getter))
            if wanted.get(getter, value) != value:
                found.faults.append(
                    f"{contract}.{getter} is {value}, {params.path.name} says {wanted[getter]}: it is fixed for this "
                    "deployment; restore the file, or add --fresh to deploy again"
                )


def _getter(argument: str) -> str:
    """``epochBlocks`` → ``EPOCH_BLOCKS``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", argument).upper()


def _links(contracts: Mapping[str, Deployed], found: Findings) -> None:
    for contract, links in LINKS.items():
        if contract not in contracts:
            continue
        for getter, name in links.items():
            wanted = contracts[name].address if name in contracts else to_checksum_address(ZERO)
            value = contracts[contract].read(getter)
            if value != wanted:
                found.faults.append(f"{contract}.{getter} is {value}, expected {name} {wanted}")


def _functions(contracts: Mapping[str, Deployed], found: Findings) -> None:
    wanted = wanted_function_roles()
    for full, role in function_roles(contracts["AccessManager"], contracts).items():
        if role != wanted[full]:
            found.faults.append(f"{full} asks for role {role}, expected {wanted[full]}")


def _roles(chain: Chain, contracts: Mapping[str, Deployed], record: Record, params: Params, found: Findings) -> None:
    found.roles = holders(chain, contracts["AccessManager"], record.startBlock)
    wanted = record.roles or {
        "ADMIN": {record.deployer: 0},
        **{name: dict.fromkeys(role.holders, role.delay) for name, role in params.roles.items()},
    }
    for name in sorted({*wanted, *found.roles}):
        have, want = found.roles.get(name, {}), wanted.get(name, {})
        if have != want:
            found.faults.append(f"role {name} is held by {have or 'nobody'}, expected {want or 'nobody'}")


def pool_terms(registry: Deployed, pool: int) -> dict[str, Any] | None:
    """Terms of a pool, or None when it does not exist."""
    try:
        terms: dict[str, Any] = registry.read("poolView", pool)["terms"]
    except RpcError as error:
        if error.data[:4] == selector_of(registry.interface.entry("error", "UnknownPool")):
            return None
        raise
    return terms


def _pools(contracts: Mapping[str, Deployed], params: Params, found: Findings) -> None:
    file = params.path.name
    for pool in params.pools:
        terms = pool_terms(contracts["NodeRegistry"], pool.id)
        if terms is None:
            found.notes.append(f"pool {pool.name} ({pool.id}) is not there: `ape run admin pool create {pool.name}`")
            continue
        for name, wanted in pool.terms.items():
            if terms[name] != wanted:
                found.notes.append(
                    f"pool {pool.name}: {name} is {terms[name]}, {file} says {wanted} (`ape run admin pool tune`)"
                )
    bps = contracts["JobMarket"].read("protocolFeeBps")
    if bps != params.fee_bps:
        found.notes.append(f"the protocol fee is {bps} bps, {file} says {params.fee_bps} (`ape run admin fee set`)")
