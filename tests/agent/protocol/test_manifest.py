"""Manifests: one spelling each, and a precise fault for everything else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.errors import JobFault
from nodeagent.protocol.cids import check_cid, raw_cid
from nodeagent.protocol.documents import canonical_json
from nodeagent.protocol.leaves import parse_leaves
from nodeagent.protocol.manifest import encode_manifest, parse_batch_manifest, parse_job_manifest
from nodeagent.protocol.types import JobId, Malformed, Shard

CID = raw_cid(hashlib.sha256(b"content").digest())
ROOT = "0x" + "ab" * 32


def job() -> dict[str, Any]:
    return {
        "version": "quorate/job/1",
        "class": "EXACT",
        "runtime": {"name": "onnx-canonical", "id": ROOT},
        "model": {"cid": CID, "bytes": 10},
        "inputs": [{"name": "bytes", "dtype": "int32", "shape": [2048]}],
        "outputs": [{"name": "label", "dtype": "float32"}],
        "tasks": 5,
        "shardSize": 2,
        "units": 12,
        "maxOutputBytes": 65536,
        "shards": [{"cid": CID, "bytes": 7}] * 3,
    }


def batch() -> dict[str, Any]:
    results = {"cid": CID, "bytes": 7}
    return {
        "version": "quorate/batch/1",
        "node": 7,
        "epoch": 101,
        "leaves": [{"job": 1, "shard": s, "root": ROOT, "results": results} for s in range(2)],
    }


def test_parse_job_manifest__canonical__encodes_to_the_same_bytes() -> None:
    data = canonical_json(job() | {"title": "Ä title", "labels": {"label": ["a", "b"]}, "endpoints": ["http://h:1/x"]})
    manifest = parse_job_manifest(data)
    assert encode_manifest(manifest) == (data, hashlib.sha256(data).digest())
    assert (manifest.answer_class, manifest.shard_size, manifest.inputs[0].shape) == ("EXACT", 2, (2048,))
    assert manifest.title == "Ä title"
    assert data.isascii()


def test_parse_job_manifest__without_optional_fields__leaves_them_none() -> None:
    manifest = parse_job_manifest(canonical_json(job()))
    assert (manifest.title, manifest.labels, manifest.endpoints) == (None, None, None)


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        at: Any = document
        for key in parents:
            at = at[int(key) if key.isdigit() else key]
        at[last] = value

    return change


def _drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.__delitem__(key)


@pytest.mark.parametrize(("change", "message"), [
    (_drop("version"), "is not an object with a version"),
    (_set("version", "quorate/job/2"), "field version: Input should be 'quorate/job/1'"),
    (_set("class", "TOLERANT"), "field class: Input should be 'EXACT'"),
    (_drop("tasks"), "field tasks: Field required"),
    (_set("extra", 1), "field extra: Extra inputs are not permitted"),
    (_set("model.size", 1), "field model.size: Extra inputs are not permitted"),
    (_set("tasks", "5"), "field tasks: Input should be a valid integer"),
    (_set("tasks", True), "field tasks: Input should be a valid integer"),
    (_set("tasks", 0), "field tasks: Input should be greater than or equal to 1"),
    (_set("tasks", 2**32), "field tasks: Input should be less than 4294967296"),
    (_set("tasks", 7), "7 tasks in shards of 2 are 4 shards, 3 are listed"),
    (_set("model.cid", "Qm123"), "field model.cid: Value error, 'Qm123' is not a CIDv1"),
    (_set("runtime.id", "0xAB"), "field runtime.id: String should match pattern"),
    (_set("inputs", []), "field inputs: Tuple should have at least 1 item"),
    (_set("inputs.0.dtype", "object"), "field inputs.0.dtype: Input should be 'bool'"),
    (_set("inputs.0.shape", [0]), "field inputs.0.shape.0: Input should be greater than or equal to 1"),
    (_set("inputs.0.shape", [1] * 9), "field inputs.0.shape: Tuple should have at most 8 items"),
    (_set("inputs.0.shape", [2**20, 2**20]), "elements a task, at most 2147483648"),
    (_set("outputs", [{"name": "a", "dtype": "int8"}] * 2), "outputs name one tensor twice"),
    (_set("labels", {"other": ["x"]}), "labels name 'other', which is not an output"),
    (_set("endpoints", ["ftp://host"]), "field endpoints.0: Value error, an endpoint is http"),
    (_set("endpoints", ["http://user@host"]), "without user, query or fragment"),
    (_set("title", "x" * 201), "field title: String should have at most 200 characters"),
    (_set("title", None), "is not spelled canonically"),
])  # fmt: skip
def test_parse_job_manifest__broken_field__is_a_job_fault_that_names_it(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    document = json.loads(json.dumps(job()))
    change(document)
    with pytest.raises(Malformed) as caught:
        parse_job_manifest(canonical_json(document))
    assert message in str(caught.value)
    assert isinstance(caught.value, JobFault)


@pytest.mark.parametrize(("data", "message"), [
    (b"", "is not strict JSON: Expecting value"),
    (b"\xff", "is not strict JSON"),
    (b"[1]", "is not an object with a version"),
    (b'{"a":1,"a":2}', "key 'a' is given twice"),
    (b'{"a":1.0}', "1.0 is not an integer"),
    (b'{"a":NaN}', "NaN is not an integer"),
    (b"[" * 100_000, "nests deeper than 32 levels"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "nests deeper than 32 levels"),
    (b'{"a":"' + b"[" * 40 + b'"}', "is not an object with a version"),
    (b" " * (2**20 + 1), "has 1048577 bytes, at most 1048576 are allowed"),
])  # fmt: skip
def test_parse_job_manifest__not_strict_json__is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_job_manifest(data)
    assert message in str(caught.value)


@pytest.mark.parametrize("respell", [
    lambda d: json.dumps(d, sort_keys=True).encode(),
    lambda d: canonical_json(d) + b"\n",
    lambda d: json.dumps(dict(sorted(d.items(), reverse=True)), separators=(",", ":")).encode(),
    lambda d: json.dumps(d | {"title": "Ä"}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(),
])  # fmt: skip
def test_parse_job_manifest__another_spelling__is_refused(respell: Callable[[dict[str, Any]], bytes]) -> None:
    with pytest.raises(Malformed, match="not spelled canonically"):
        parse_job_manifest(respell(job()))


def test_encode_manifest__beyond_one_block__is_refused_with_a_hint() -> None:
    document = job() | {"tasks": 14_000, "shardSize": 1, "shards": [{"cid": CID, "bytes": 7}] * 14_000}
    with pytest.raises(Malformed, match="at most 1048576"):
        parse_job_manifest(canonical_json(document))
    manifest = parse_job_manifest(canonical_json(job()))
    large = manifest.model_copy(update={"shards": manifest.shards * 5000})
    with pytest.raises(Malformed, match="use larger shards"):
        encode_manifest(large)


@given(st.binary(max_size=300))
def test_parse_job_manifest__arbitrary_bytes__never_raise_anything_else(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_job_manifest(data)


def test_parse_batch_manifest__canonical__gives_the_leaves() -> None:
    manifest = parse_batch_manifest(canonical_json(batch()))
    leaves = parse_leaves(manifest.packed_leaves())
    assert [(item.job, item.shard, "0x" + item.root.hex()) for item in leaves] == [(1, 0, ROOT), (1, 1, ROOT)]
    assert manifest.results_of(JobId(1), Shard(1)).results.cid == CID
    with pytest.raises(Malformed, match="node 7, epoch 101 has no job 2, shard 0"):
        manifest.results_of(JobId(2), Shard(0))


def test_parse_batch_manifest__empty_batch__is_valid() -> None:
    assert parse_batch_manifest(canonical_json(batch() | {"leaves": []})).packed_leaves() == b""


@pytest.mark.parametrize(("change", "message"), [
    (_set("node", 0), "field node"),
    (_set("leaves.1.shard", 0), "leaf (job 1, shard 0) does not ascend"),
    (_set("leaves.0.root", "0x12"), "field leaves.0.root"),
    (_set("leaves.0.results.bytes", -1), "field leaves.0.results.bytes"),
])  # fmt: skip
def test_parse_batch_manifest__broken_field__names_it(change: Callable[[dict[str, Any]], None], message: str) -> None:
    document = json.loads(json.dumps(batch()))
    change(document)
    with pytest.raises(Malformed) as caught:
        parse_batch_manifest(canonical_json(document))
    assert message in str(caught.value)


def test_canonical_json__float__is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.5 is not an integer"):
        canonical_json({"a": [{"b": 1.5}]})


# --- content identifiers ------------------------------------------------------------------------------------


def test_raw_cid__known_content__is_what_ipfs_says() -> None:
    assert (
        raw_cid(hashlib.sha256(b"hello world").digest())
        == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    )
    with pytest.raises(ValueError, match="32 bytes, got 3"):
        raw_cid(b"abc")


@pytest.mark.parametrize(("cid", "message"), [
    ("", "not a CIDv1"),
    (CID.upper(), "not a CIDv1"),
    (CID[:-1], "not a CIDv1"),
    (CID[:10] + "1" + CID[11:], "outside base32"),
    ("bafyrei" + CID[7:], "neither a raw block nor a dag-pb tree"),
    (CID[:-1] + ("h" if CID[-1] != "h" else "j"), "not the canonical spelling"),
])  # fmt: skip
def test_check_cid__another_form__is_malformed(cid: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        check_cid(cid)


@given(st.binary(min_size=32, max_size=32))
def test_check_cid__any_raw_block_or_tree__passes(digest: bytes) -> None:
    assert check_cid(raw_cid(digest)) == raw_cid(digest)
    assert check_cid("bafybei" + raw_cid(digest)[7:])
