"""CIDs: known values, round trips, and a precise reason for everything refused."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.content.cid import DAG_PB, RAW, Cid
from nodeagent.content.errors import BadCid, WrongBytes
from nodeagent.errors import JobFault, Transient

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


def spelled(binary: bytes) -> str:
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")


def test_of__known_blocks__known_cids() -> None:
    assert str(Cid.of(b"")) == EMPTY
    assert str(Cid.of(b"hello world")) == HELLO


def test_from_digest__a_bytes32__names_the_one_block_file() -> None:
    digest = hashlib.sha256(b"hello world").digest()
    assert Cid.from_digest(digest) == Cid.parse(HELLO)
    assert Cid.from_digest(digest).digest == digest


@pytest.mark.parametrize("length", [0, 31, 33])
def test_from_digest__other_length__is_refused(length: int) -> None:
    with pytest.raises(BadCid) as caught:
        Cid.from_digest(bytes(length))
    assert f"digest has {length} bytes, expected 32" in caught.value.reason


@given(st.binary(min_size=32, max_size=32), st.sampled_from([RAW, DAG_PB]))
def test_parse__what_str_wrote__round_trips(digest: bytes, codec: int) -> None:
    cid = Cid(codec, digest)
    assert Cid.parse(str(cid)) == cid
    assert Cid.from_bytes(cid.binary) == cid
    assert len(str(cid)) == 59 and str(cid).startswith("bafkrei" if codec == RAW else "bafybei")


@given(st.text(max_size=80))
def test_parse__any_text__parses_canonically_or_is_refused(text: str) -> None:
    try:
        shown = str(Cid.parse(text))
    except BadCid as error:
        shown = error.text
    assert shown == text


DIGEST = hashlib.sha256(b"x").digest()
REFUSED = {
    "empty": ("", "empty"),
    "v0": ("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "CIDv0"),
    "base58": ("zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA", "multibase prefix 'z'"),
    "upper case": (HELLO.upper(), "multibase prefix 'B'"),
    "mixed case": (HELLO[:-1] + "E", "character 'E'"),
    "padding": (HELLO + "=", "character '='"),
    "path": (HELLO + "/../x", "character '/'"),
    "dots": ("b../../etc/passwd", "character '.'"),
    "blank": (" " + HELLO, "multibase prefix ' '"),
    "newline": (HELLO + "\n", "character '\\n'"),
    "short": (HELLO[:-8], "digest bytes follow"),
    "cut": (HELLO[:-1], "characters, expected 59"),
    "long": (HELLO + "aaaaaaaa", "digest bytes follow"),
    "endless": ("b" + "a" * 10_000, "10001 characters"),
    "loose bits": (HELLO[:-1] + "f", "unused bits"),
    "version 0": (spelled(b"\x00\x55\x12\x20" + DIGEST), "version 0"),
    "dag-cbor": (spelled(b"\x01\x71\x12\x20" + DIGEST), "dag-cbor"),
    "unknown codec": (spelled(b"\x01\x99\x01\x12\x20" + DIGEST), "codec 0x99 (unknown)"),
    "identity": (spelled(b"\x01\x55\x00\x04abcd"), "identity"),
    "sha2-512": (spelled(b"\x01\x55\x13\x40" + DIGEST * 2), "sha2-512"),
    "truncated digest": (spelled(b"\x01\x55\x12\x10" + DIGEST[:16]), "digest length 16"),
    "padded varint": (spelled(b"\x81\x00\x55\x12\x20" + DIGEST), "not minimally encoded"),
    "endless varint": (spelled(b"\x81" * 20), "longer than 9 bytes"),
    "no digest": (spelled(b"\x01\x55"), "ends inside its hash function"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_parse__not_a_usable_cid__says_why(case: str) -> None:
    text, reason = REFUSED[case]
    with pytest.raises(BadCid) as caught:
        Cid.parse(text)
    assert reason in caught.value.reason
    assert isinstance(caught.value, JobFault) and caught.value.hint


def test_verify__other_bytes__names_both_hashes() -> None:
    with pytest.raises(WrongBytes) as caught:
        Cid.parse(HELLO).verify(b"")
    assert (caught.value.cid, caught.value.found) == (HELLO, EMPTY)
    assert isinstance(caught.value, Transient)
    assert Cid.parse(HELLO).verify(b"hello world") == b"hello world"
