"""Parts of files from a gateway: which blocks have some of the bytes that ``entity-bytes`` names."""

from __future__ import annotations

import io
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

import pytest
from content_faults import blocks_of, numbers

from nodeagent.content import Cid, LocalStore, unixfs
from nodeagent.content.car import CarReader
from nodeagent.content.gateway import Gateway
from nodeagent.content.question import NotServed, read_question

DATA = numbers(100)  # seven leaves of 16 bytes at most, four to a node: three nodes
ROOT, BLOCKS = blocks_of(DATA)
LEAVES = [cid for cid, _ in unixfs.walk(ROOT, BLOCKS.__getitem__) if cid.is_raw]


def given(asked: str, root: Cid = ROOT) -> list[Cid]:
    question = read_question(f"format=car&dag-scope=entity&entity-bytes={asked}", "")
    assert question == read_question(f"format=car&entity-bytes={asked}", ""), "it is of an entity, said or not"
    car = CarReader(io.BytesIO(b"".join(question.pieces(root, BLOCKS.__getitem__))))
    assert car.roots == (root,)
    return [cid for cid, _ in car]


@pytest.mark.parametrize(
    ("asked", "leaves"),
    [
        ("0:*", range(7)),
        ("0:0", [0]),
        ("15:16", [0, 1]),
        ("16:31", [1]),
        ("63:64", [3, 4]),
        ("96:*", [6]),
        ("99:99", [6]),
        ("90:1000", [5, 6]),
        ("-1:*", [6]),
        ("-5:-1", [5, 6]),
        ("-1000:3", [0]),
        ("0:-90", [0]),
        ("100:*", []),
        ("100:200", []),
        ("20:10", []),
        ("0:-101", []),
    ],
)
def test_entity_bytes__of_a_file__the_root_and_what_has_those_bytes(asked: str, leaves: list[int]) -> None:
    cids = given(asked)
    assert cids[0] == ROOT and len(set(cids)) == len(cids)
    assert [cid for cid in cids if cid.is_raw] == [LEAVES[n] for n in leaves]
    assert sum(not cid.is_raw for cid in cids) == 1 + len({n // 4 for n in leaves})


def test_entity_bytes__of_one_leaf__is_that_leaf() -> None:
    assert given("3:4", LEAVES[2]) == [LEAVES[2]]


@pytest.mark.parametrize(
    "query",
    [
        "dag-scope=entity&entity-bytes=5",
        "dag-scope=entity&entity-bytes=a:b",
        "dag-scope=entity&entity-bytes=*:5",
        "dag-scope=entity&entity-bytes=1:2:3",
        "dag-scope=entity&entity-bytes=0:" + "9" * 40,
        "dag-scope=entity&entity-bytes=0:1&entity-bytes=2:3",
        "dag-scope=all&entity-bytes=0:1",
        "dag-scope=block&entity-bytes=0:1",
    ],
)
def test_entity_bytes__unreadable_or_of_no_entity__is_400_and_says_how(query: str) -> None:
    with pytest.raises(NotServed, match="FROM:TO") as caught:
        read_question(f"format=car&{query}", "")
    assert caught.value.status is HTTPStatus.BAD_REQUEST


def test_get__entity_bytes__over_http_with_a_tag_of_its_own(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "content")
    root = store.put_bytes(bytes(3 << 20) + b"end")
    tags = set()
    with Gateway(store) as gateway:
        for asked in ("", "&dag-scope=entity&entity-bytes=0:5", "&dag-scope=entity&entity-bytes=-3:*"):
            with urlopen(f"{gateway.url}/ipfs/{root}?format=car{asked}") as answer:
                tags.add(answer.headers["ETag"])
                car = answer.read()
        assert [cid.is_raw for cid, _ in CarReader(io.BytesIO(car))] == [False, True]
        with urlopen(f"{gateway.url}/ipfs/{root}?format=raw&entity-bytes=0:5") as answer:
            assert Cid.of(answer.read(), root.codec) == root, "of a block there are no parts"
    assert len(tags) == 3


def test_get__entity_bytes_of_a_folder__is_the_folder(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "content")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * 100)
    root = store.put_folder(tmp_path / "folder")
    question = read_question("format=car&dag-scope=entity&entity-bytes=5:6", "")
    car = CarReader(io.BytesIO(b"".join(question.pieces(root, store.load))))
    assert {cid for cid, _ in car} == set(store.block_cids())
