"""What a chain must offer.

check_chain
├── anvil as it is                              → every check passes; nothing but blocks was made
├── no EIP-2935, or one that says another hash  → refused
├── RANDAO constant or zero                     → refused
├── block.number of another chain               → refused
├── older instructions, shorter code            → refused
└── through the script                          → exit 1, no record, no transaction
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import DEPLOYER, Proxy, ape, provider_at, rpc

from scripts._lib.chain import Chain
from scripts._lib.checks import check_chain
from scripts._lib.errors import ScriptError

SIZES = {"JobMarket": 24_000, "NodeRegistry": 18_000}
Change = Callable[[str, list[Any], dict[str, Any]], dict[str, Any] | None]


def refused(url: str, change: Change, sizes: dict[str, int] | None = None) -> str:
    with Proxy(url, change) as proxy, pytest.raises(ScriptError) as caught:
        check_chain(Chain(provider_at(proxy.url)), "osaka", sizes or SIZES)
    return caught.value.message


def unchanged(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer


def test_check_chain__anvil__passes_every_check(other_anvil: Any) -> None:
    chain = Chain(provider_at(other_anvil().url))
    seen = [check.name for check in check_chain(chain, "osaka", SIZES)]
    assert seen == ["EIP-2935", "RANDAO", "block.number", "instructions", "code size"]
    assert chain.nonce(DEPLOYER) == 0


def test_check_chain__history_says_another_hash__is_refused(url: str) -> None:
    def change(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getBlockByNumber":
            answer["result"]["hash"] = "0x" + "11" * 32
        return answer

    assert "the node says 0x1111" in refused(url, change)


def test_check_chain__history_does_not_answer__is_refused(url: str) -> None:
    def change(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_call" and params[0].get("to", "").startswith("0x0000F908"):
            return {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": 3, "message": "execution reverted"}}
        return answer

    assert "does not answer for block" in refused(url, change)


@pytest.mark.parametrize("value", ["0x" + "00" * 32, "0x" + "22" * 32])
def test_check_chain__randao_does_not_change__is_refused(url: str, value: str) -> None:
    def change(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getBlockByNumber":
            answer["result"]["mixHash"] = value
        return answer

    assert "prevRandao does not change: 1 different values in the last 8 blocks" in refused(url, change)


def test_check_chain__block_number_of_another_chain__is_refused(url: str) -> None:
    def change(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_call" and params[0]["data"] == "0x435f5260205ff3":
            answer["result"] = "0x" + (21_000_000).to_bytes(32, "big").hex()
        return answer

    message = refused(url, change)
    assert "block.number is 21000000 in a call at block" in message
    assert "use a chain whose block.number is its own" in message


def test_check_chain__code_longer_than_the_chain_takes__is_refused(url: str) -> None:
    assert "JobMarket has 24577 bytes of code, which this chain refuses" in refused(
        url, unchanged, {"JobMarket": 24_577, "NodeRegistry": 18_000}
    )


def test_check_chain__hardfork_before_the_compilers__is_refused(other_anvil: Any) -> None:
    chain = Chain(provider_at(other_anvil("--hardfork", "prague").url))
    with pytest.raises(ScriptError) as caught:
        check_chain(chain, "osaka", SIZES)
    assert "compiled for osaka and this chain does not run its instructions" in caught.value.message


def test_deploy__chain_without_block_history__exits_before_anything_is_sent(other_anvil: Any, tmp_path: Path) -> None:
    anvil = other_anvil("--hardfork", "cancun")
    run = ape(anvil.url, "run", "deploy", "--network", "ethereum:local:foundry", "--yes", "--record", tmp_path)
    assert run.code == 1
    assert "chain 31337 has no block-hash history (EIP-2935)" in run.err
    assert "next: use a chain with the Prague upgrade or later" in run.err
    assert not list(tmp_path.iterdir())
    assert rpc(anvil.url, "eth_getTransactionCount", DEPLOYER, "latest") == "0x0"


def test_chain__ape_has_another_chain_id__says_how_to_attach(url: str) -> None:
    provider = provider_at(url)
    provider.chain_id = 1337
    with pytest.raises(ScriptError) as caught:
        Chain(provider)
    assert "ape takes chain id 1337 for this network, the node says 31337" in caught.value.message
    assert "APE_FOUNDRY_HOST=" in caught.value.message
