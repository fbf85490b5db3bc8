"""What a chain must offer before anything is deployed on it (protocol section 3), each check by itself.

Nothing here costs gas: contract-less ``eth_call`` and block headers only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scripts._lib.chain import Chain, RpcError
from scripts._lib.errors import ScriptError

HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"  # EIP-2935
RECENT = 8  # blocks looked at
WAIT_S = 180.0

# Creation code that returns one word: NUMBER, and CLZ of 1 (EIP-7939, Osaka).
_NUMBER = bytes.fromhex("435f5260205ff3")
_CLZ = bytes.fromhex("60011e5f5260205ff3")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, in words with the values seen."""

    name: str
    seen: str


def check_chain(chain: Chain, evm_version: str, code_sizes: Mapping[str, int]) -> list[Check]:
    """Runs every check. Raises ScriptError at the first that fails; nothing has been sent then."""
    _enough_blocks(chain)
    return [
        _history(chain),
        _randao(chain),
        _own_number(chain),
        *_instructions(chain, evm_version),
        _sizes(chain, code_sizes),
    ]


def _enough_blocks(chain: Chain) -> None:
    """A chain that has just begun needs some blocks first: mined on a devnet, waited for elsewhere."""
    missing = RECENT - chain.height()
    if missing <= 0:
        return
    if "anvil" in chain.client.lower():
        chain.rpc("anvil_mine", hex(missing))
        return
    deadline = time.monotonic() + WAIT_S
    while chain.height() < RECENT:
        if time.monotonic() > deadline:
            raise ScriptError(
                f"the chain has {chain.height()} blocks and {RECENT} are needed to look at",
                hint="run again when it has produced some",
            )
        time.sleep(0.5)


def _history(chain: Chain) -> Check:
    """EIP-2935 is there and agrees with the node about a recent block's hash."""
    code = chain.code(HISTORY)
    if not code:
        raise ScriptError(
            f"chain {chain.chain_id} has no block-hash history (EIP-2935): no code at {HISTORY}",
            hint="use a chain with the Prague upgrade or later; seeds cannot be proven on this one",
        )
    number = chain.height() - RECENT // 2
    expected = chain.block(number)["hash"]
    try:
        answer = "0x" + chain.call(HISTORY, number.to_bytes(32, "big")).hex()
    except RpcError as error:
        raise ScriptError(
            f"EIP-2935 at {HISTORY} does not answer for block {number}: {error.message}",
            hint="the chain carries the contract but does not fill it; Quorate cannot run there",
        ) from error
    if answer != expected:
        raise ScriptError(
            f"EIP-2935 says block {number} has hash {answer}, the node says {expected}",
            hint="ask another node of this chain; if it says the same, Quorate cannot run there",
        )
    return Check("EIP-2935", f"answers for block {number}")


def _randao(chain: Chain) -> Check:
    """RANDAO values of recent blocks are set and all differ."""
    top = chain.height()
    values = [chain.block(number).get("mixHash", "0x0") for number in range(top - RECENT + 1, top + 1)]
    if len(set(values)) != len(values) or any(int(value, 16) == 0 for value in values):
        raise ScriptError(
            f"prevRandao does not change: {len(set(values))} different values in the last {RECENT} blocks",
            hint="committees would be foreseeable; use a chain whose beacon sets it in every block",
        )
    return Check("RANDAO", f"{RECENT} different values in the last {RECENT} blocks")


def _own_number(chain: Chain) -> Check:
    """``block.number`` in a contract is the number the node counts by (on Arbitrum it is another chain's)."""
    top = chain.height()
    for number in (top - RECENT // 2, top):
        seen = int.from_bytes(_probe(chain, _NUMBER, hex(number), "block.number"), "big")
        if seen not in (number, number + 1):  # some nodes run calls as of the block, some as of the next one
            raise ScriptError(
                f"block.number is {seen} in a call at block {number}: it is not this chain's own",
                hint="Quorate counts epochs by it; use a chain whose block.number is its own",
            )
    return Check("block.number", f"is the chain's own at block {top}")


def _instructions(chain: Chain, evm_version: str) -> list[Check]:
    """The chain runs what the compiler was told to emit."""
    probes: dict[str, tuple[bytes, int]] = {"osaka": (_CLZ, 255)}
    if evm_version not in probes:
        return []
    code, expected = probes[evm_version]
    try:
        seen = int.from_bytes(chain.call(None, code), "big")
    except RpcError:
        seen = -1
    if seen != expected:
        raise ScriptError(
            f"the contracts are compiled for {evm_version} and this chain does not run its instructions",
            hint="use a chain with that upgrade, or compile for an older evm_version",
        )
    return [Check("instructions", f"{evm_version} runs")]


def _sizes(chain: Chain, code_sizes: Mapping[str, int]) -> Check:
    """The chain accepts code as long as our longest contract's."""
    name, size = max(code_sizes.items(), key=lambda item: item[1])
    try:
        chain.call(None, b"\x62" + size.to_bytes(3, "big") + bytes.fromhex("5ff3"))  # return ``size`` zero bytes
    except RpcError as error:
        raise ScriptError(
            f"{name} has {size} bytes of code, which this chain refuses ({error.message}); most chains take 24576",
            hint="deploy a release build; a build for debugging is longer",
        ) from error
    return Check("code size", f"{size} bytes ({name}, the longest) are accepted")


def _probe(chain: Chain, code: bytes, block: str, what: str) -> bytes:
    try:
        return chain.call(None, code, block=block)
    except RpcError as error:
        raise ScriptError(f"cannot ask the chain for {what}: {error.message}") from error


def say_checks(checks: list[Check], say: Callable[[str], None]) -> None:
    """Prints one line per check."""
    for check in checks:
        say(f"  ok  {check.name}: {check.seen}")
