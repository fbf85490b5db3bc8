"""Calldata and reverts from the generated ABI."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from nodeagent.chain.abi import as_revert, decode_revert, load_abi
from nodeagent.chain.errors import BadDeployment, Reverted, RpcError
from nodeagent.protocol.keccak import keccak

SPEC = {
    "pool": 1, "class": 0, "tasks": 300, "shardSize": 64, "pace": 0, "committee": 3, "quorum": 2, "work": 1,
    "maxAttempts": 3, "appealEpochs": 0, "units": 12, "unitPrice": 5, "manifest": b"\x07" * 32,
}  # fmt: skip


def test_encode__struct_as_dict__same_as_tuple() -> None:
    market = load_abi("JobMarket")
    assert market.encode("post", SPEC) == market.encode("post", tuple(SPEC.values()))
    assert market.decode_input(market.encode("post", SPEC)) == ("post", {"spec": SPEC})


def test_encode__overloaded_function__by_signature() -> None:
    market = load_abi("JobMarket")
    receipt = (0, 7, bytes(32), [b"\x01" * 32])
    short = market.encode("shardStatus(uint64,uint32)", 1, 2)
    long = market.encode("shardStatus(uint64,uint32,(uint8,uint16,bytes32,bytes32[]))", 1, 2, receipt)
    assert short[:4] == keccak(b"shardStatus(uint64,uint32)")[:4] and short[:4] != long[:4]


def test_encode__unknown_function__says_what_to_do() -> None:
    with pytest.raises(BadDeployment, match="no function frobnicate"):
        load_abi("JobMarket").encode("frobnicate")


def test_decode__struct_result__dict_by_field() -> None:
    registry = load_abi("NodeRegistry")
    data = encode(["(((uint96,uint64,uint96,uint8,bool)),uint32,uint32)".replace("((", "(").replace("))", ")")], [
        ((100, 5, 10, 4, True), 12, 3)
    ])  # fmt: skip
    assert registry.decode("poolView", data) == {
        "terms": {"seatStake": 100, "floor": 5, "maxShardPay": 10, "maxSeatsPerNode": 4, "open": True},
        "length": 12,
        "nodes": 3,
    }


def test_decode_revert__custom_error__name_and_fields() -> None:
    data = keccak(b"NoQuorum(uint64,uint32,uint8,uint8)")[:4] + encode(
        ["uint64", "uint32", "uint8", "uint8"], [9, 4, 2, 1]
    )
    fault = decode_revert(data, "settle")
    assert fault.name == "NoQuorum" and fault.fields == {"job": 9, "shard": 4, "expected": 2, "actual": 1}
    assert "settle reverted: NoQuorum(job=9, shard=4, expected=2, actual=1)" in str(fault)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (keccak(b"Error(string)")[:4] + encode(["string"], ["no money"]), "Error"),
        (keccak(b"Panic(uint256)")[:4] + encode(["uint256"], [17]), "Panic"),
        (b"\xde\xad\xbe\xef", "Unknown"),
        (b"", "NoReason"),
        (keccak(b"NotSealed(uint32,uint32)")[:4] + b"\x01", "NotSealed"),
    ],
)
def test_decode_revert__other_data__still_says_something(data: bytes, name: str) -> None:
    assert decode_revert(data).name == name


def test_as_revert__endpoint_fault__stays_what_it_is() -> None:
    fault = RpcError("eth_call", -32000, "header not found")
    assert as_revert(fault, "x") is fault


def test_as_revert__revert_without_data__reverted() -> None:
    assert isinstance(as_revert(RpcError("eth_call", -32000, "execution reverted"), "x"), Reverted)
