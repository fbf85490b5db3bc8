"""Deployment records: what is read, and what is refused before anything is signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeagent.chain.deployment import checksum, load_deployment, verify_deployment
from nodeagent.chain.errors import BadDeployment, WrongChain
from nodeagent.protocol.keccak import keccak

NAMES = ("QuorateToken", "PaymentToken", "AccessManager", "NodeRegistry", "CommitLedger", "JobMarket")
CODE = b"\x60\x00"


def record(**changes: Any) -> dict[str, Any]:
    contracts = {
        name: {"address": f"0x{i + 1:040x}", "block": 3, "tx": "0x00", "codeHash": "0x" + keccak(CODE).hex()}
        for i, name in enumerate(NAMES)
    }
    base = {
        "chainId": 31337,
        "network": "local",
        "startBlock": 3,
        "contracts": contracts,
        "parameters": {"EPOCH_BLOCKS": 10, "RING": 128},
        "pools": {"cpu": 1},
    }
    return {**base, **changes}


def write(folder: Path, value: Any) -> Path:
    path = folder / "31337.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


COURT = f"0x{7:040x}"


def with_court() -> dict[str, Any]:
    found = record()
    found["contracts"]["Court"] = {"address": COURT, "codeHash": "0x" + keccak(CODE).hex()}
    return found


class Endpoint:
    """Answers like a chain on which the record's contracts stand; ``court`` is what the market says of its own."""

    url = "http://fake"

    def __init__(self, chain: int = 31337, code: bytes = CODE, constant: int = 10, court: str = "0x0") -> None:
        self._chain, self._code, self._constant, self._court = chain, code, constant, court
        self.asked: list[str] = []

    def chain_id(self) -> int:
        return self._chain

    def code(self, _address: str) -> bytes:
        return self._code

    def batch(self, calls: list[Any]) -> list[str]:
        known = {keccak(b"RING()")[:4].hex(): 128, keccak(b"court()")[:4].hex(): int(self._court, 16)}
        self.asked += [self._selector(c) for c in calls]
        return [f"0x{known.get(self._selector(c), self._constant):064x}" for c in calls]

    @staticmethod
    def _selector(call: Any) -> str:
        return str(call[1][0]["data"][2:])


def test_load_deployment__whole_record__addresses_checksummed(tmp_path: Path) -> None:
    found = load_deployment(write(tmp_path, record()))
    assert found.market == checksum("0x" + f"{6:040x}") and found.start_block == 3
    assert found.pool_id("cpu") == 1 and found.pool_id("7") == 7


def test_load_deployment__no_file__says_how_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(BadDeployment, match="--deployment"):
        load_deployment(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "Invalid JSON"),
        (record(chainId=0), "chainId"),
        (record(contracts={}), "does not name NodeRegistry"),
        (record(contracts={"NodeRegistry": {"address": "0x12"}}), "contracts.NodeRegistry.address"),
    ],
)
def test_load_deployment__broken__names_the_field(tmp_path: Path, value: Any, told: str) -> None:
    with pytest.raises(BadDeployment, match=told):
        load_deployment(write(tmp_path, value))


def test_pool_id__unknown_name__lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(BadDeployment, match="the record names cpu"):
        load_deployment(write(tmp_path, record())).pool_id("gpu")


def test_verify_deployment__right_chain__constants_of_the_chain(tmp_path: Path) -> None:
    found = verify_deployment(Endpoint(), load_deployment(write(tmp_path, record())))  # type: ignore[arg-type]
    assert found.parameters["REVEAL_GRACE"] == 10 and found.ring == 128 and found.epoch_blocks == 10


def test_load_deployment__no_court__names_none_and_scans_three_contracts(tmp_path: Path) -> None:
    found = load_deployment(write(tmp_path, record()))
    assert found.court is None and found.addresses == [found.registry, found.ledger, found.market]


def test_verify_deployment__with_a_court__scans_and_reads_it_too(tmp_path: Path) -> None:
    endpoint = Endpoint(court=COURT)
    found = verify_deployment(endpoint, load_deployment(write(tmp_path, with_court())))  # type: ignore[arg-type]
    assert found.court == COURT == found.addresses[-1]
    assert found.parameters["JUDGES"] == found.parameters["WRONG_BPS"] == 10
    assert keccak(b"JUDGES()")[:4].hex() in endpoint.asked


@pytest.mark.parametrize(("recorded", "wired", "told"), [
    (record(), COURT, f"the market's court is {COURT} and the record's is none"),
    (with_court(), "0x0", f"the market's court is 0x{0:040x} and the record's is {COURT}"),
])  # fmt: skip
def test_verify_deployment__another_court_is_wired__refused(
    tmp_path: Path, recorded: Any, wired: str, told: str
) -> None:
    with pytest.raises(BadDeployment, match=told):
        verify_deployment(Endpoint(court=wired), load_deployment(write(tmp_path, recorded)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("endpoint", "kind", "told"),
    [
        (Endpoint(chain=1), WrongChain, "serves chain 1, the deployment record is for 31337"),
        (Endpoint(code=b""), BadDeployment, "no contract is at"),
        (Endpoint(code=b"\x00"), BadDeployment, "the record says"),
        (Endpoint(constant=11), BadDeployment, "EPOCH_BLOCKS is 11 on chain and 10 in the record"),
    ],
)
def test_verify_deployment__does_not_fit__refused(tmp_path: Path, endpoint: Any, kind: type, told: str) -> None:
    with pytest.raises(kind, match=told):
        verify_deployment(endpoint, load_deployment(write(tmp_path, record())))


def test_checksum__eip_55_examples__as_published() -> None:
    for address in ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"):
        assert checksum(address.lower()) == address
