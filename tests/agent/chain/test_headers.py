"""header_rlp

├── legacy header (mainnet's genesis)          → its well-known hash
├── header with every field up to requestsHash → the hash its client computed
├── numbers with leading zeros or odd digits   → canonical integers
├── a mandatory field is missing               → HeaderMismatch names it
└── any field differs                          → HeaderMismatch
"""

from __future__ import annotations

import pytest

from nodeagent.chain.headers import HeaderMismatch, header_rlp, prev_randao, rlp_item
from nodeagent.protocol.keccak import keccak

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
EMPTY_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
GENESIS = {
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": EMPTY_UNCLES,
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY_ROOT,
    "receiptsRoot": EMPTY_ROOT,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
}
# a block of a client that fills every field of the newest fork
LATEST = {
    "hash": "0xb672a6d7d9441ba07d86a2584dae87b9bac818f9e270d093472eacb1429bba07",
    "parentHash": "0x1afa6d6923a5ebc1b04c5a46bd1c6f43a65e55cd5e19f50f202d8bc796afcc0a",
    "sha3Uncles": EMPTY_UNCLES,
    "miner": "0x" + "00" * 20,
    "stateRoot": "0x1227fb2eb11dfc18c446c792e2af9d4ec4fd1a5a8881193ac527cd7c6cb5088c",
    "transactionsRoot": EMPTY_ROOT,
    "receiptsRoot": EMPTY_ROOT,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x0",
    "number": "0x3a0",
    "gasLimit": "0x1c9c380",
    "gasUsed": "0x0",
    "timestamp": "0x6b06aafd",
    "extraData": "0x",
    "mixHash": "0xd5740db97a4b9a0e930752ce66cfcae6c75b67a5e01370c2f8608e29d8d50a30",
    "nonce": "0x0000000000000000",
    "baseFeePerGas": "0x7",
    "withdrawalsRoot": EMPTY_ROOT,
    "blobGasUsed": "0x0",
    "excessBlobGas": "0x0",
    "parentBeaconBlockRoot": "0x" + "00" * 32,
    "requestsHash": "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "totalDifficulty": "0x0",
    "size": "0x265",
    "uncles": [],
    "withdrawals": [],
}


@pytest.mark.parametrize("block", [GENESIS, LATEST], ids=["genesis", "latest fork"])
def test_header_rlp__known_block__hashes_to_its_hash(block: dict) -> None:
    assert "0x" + keccak(header_rlp(block)).hex() == block["hash"]


def test_header_rlp__number_padded_with_zeros__same_bytes() -> None:
    assert header_rlp({**LATEST, "number": "0x0003a0", "baseFeePerGas": "0x07"}) == header_rlp(LATEST)


@pytest.mark.parametrize("field", ["stateRoot", "mixHash", "nonce"])
def test_header_rlp__mandatory_field_missing__names_it(field: str) -> None:
    block = {k: v for k, v in LATEST.items() if k != field}
    with pytest.raises(HeaderMismatch, match=field):
        header_rlp(block)


@pytest.mark.parametrize(
    ("field", "value"),
    [("mixHash", "0x" + "01" * 32), ("requestsHash", None), ("gasUsed", "0x1"), ("extraData", "0x00")],
)
def test_header_rlp__field_differs__mismatch(field: str, value: str | None) -> None:
    with pytest.raises(HeaderMismatch, match="another hash"):
        header_rlp({**LATEST, field: value})


def test_prev_randao__block__its_mix_hash() -> None:
    assert prev_randao(LATEST).hex() == LATEST["mixHash"][2:]


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (b"", "80"),
        (b"\x00", "00"),
        (b"\x7f", "7f"),
        (b"\x80", "8180"),
        (b"a" * 55, "b7" + "61" * 55),
        (b"a" * 56, "b838" + "61" * 56),
        (b"a" * 256, "b90100" + "61" * 256),
    ],
)
def test_rlp_item__lengths_at_each_form__canonical(data: bytes, encoded: str) -> None:
    assert rlp_item(data).hex() == encoded
