"""Hands: what is written before what leaves, and what may be seen when.

seal → commit   the opening is on disk when the digest leaves; a restart at any point sends the same digest
reveal, turn    results and manifest are in the served store when the opening leaves, not before
failures        a call that ended without effect is tried again; one under way is not doubled
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import structlog
from eth_abi.abi import encode
from fakechain import FakeChain, account, decode

from nodeagent.chain.abi import load_abi
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.errors import RpcError
from nodeagent.chain.outbox import Outbox
from nodeagent.content import Cid, open_content
from nodeagent.content.errors import StoreFailed
from nodeagent.errors import Fatal
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.leaves import commit_digest, parse_leaves
from nodeagent.protocol.manifest import parse_batch_manifest
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.compute import results_path
from nodeagent.worker.hands import Hands
from nodeagent.worker.ledger import Ledger, Result
from nodeagent.worker.lifecycle import Commit, Reveal, Seal, Turn

NODE = NodeId(7)
E = Epoch(101)
LEDGER = "0x" + "22" * 20


class Killed(BaseException):
    """The process ends here."""


def hands(chain: FakeChain, home: Path) -> Hands:
    """As after a start: everything read from the home."""
    addresses = dict.fromkeys(("registry", "market", "stake_token", "payment_token"), "0x" + "33" * 20)
    deployment = Deployment(31337, "local", 0, ledger=LEDGER, parameters={"EPOCH_BLOCKS": 10}, **addresses)
    ledger = Ledger(home / "agent.db")
    doors = Doors.of(chain, deployment)
    outbox = Outbox(chain, account(), ledger.connection, chain_id=31337)
    (home / "pending").mkdir(exist_ok=True)
    return Hands(chain, deployment, doors, outbox, ledger, open_content(home), home / "pending", NODE)  # type: ignore[arg-type]


def computed(h: Hands, job: int, shard: int, data: bytes) -> Cid:
    """A finished shard: results file on disk, result recorded."""
    results_path(h.pending, job, shard).write_bytes(data)
    cid = Cid.of(data)
    h.ledger.add_result(Result(JobId(job), Shard(shard), keccak(data), b"q", str(cid), len(data), 1))
    return cid


def sent(chain: FakeChain) -> tuple[str, dict[str, Any]]:
    """Function and arguments of the last transaction that left."""
    return load_abi("CommitLedger").decode_input(bytes(decode(list(chain.mempool.values())[-1])["data"]))


KEYS = ((JobId(1), Shard(1)), (JobId(1), Shard(0)))


def test_commit__leaves__its_opening_is_on_disk(tmp_path: Path) -> None:
    chain = FakeChain()
    h = hands(chain, tmp_path)
    computed(h, 1, 0, b"zero")
    computed(h, 1, 1, b"one")
    found: list[tuple[bytes, ...]] = []

    def look(_: bytes) -> None:
        other = sqlite3.connect(tmp_path / "agent.db")
        found.extend(other.execute("SELECT leaves, manifest_digest, salt, digest FROM batches WHERE epoch = 101"))
        other.close()

    chain.on_push = look
    h.seal(Seal(E, KEYS))
    h.commit(Commit(E, 1019))
    h.outbox.tick(chain.head, 7)
    (row,) = found
    assert sent(chain) == ("commit", {"epoch": 101, "digest": row[3]})
    assert row[3] == commit_digest(31337, bytes.fromhex("22" * 20), NODE, E, *row[:3])
    assert [(leaf.job, leaf.shard) for leaf in parse_leaves(row[0])] == [(1, 0), (1, 1)]


def test_seal__restarted_before_sending__same_digest_whatever_was_computed_since(tmp_path: Path) -> None:
    chain = FakeChain()
    h = hands(chain, tmp_path)
    computed(h, 1, 0, b"zero")
    first = h.seal(Seal(E, KEYS[1:]))
    again = hands(chain, tmp_path)
    computed(again, 1, 1, b"one")
    assert again.seal(Seal(E, KEYS)) == first


def test_commit__killed_while_sending__restart_sends_the_same_transaction(tmp_path: Path) -> None:
    chain = FakeChain()
    h = hands(chain, tmp_path)
    h.seal(Seal(E, ()))
    h.commit(Commit(E, 1019))

    def die(_: bytes) -> None:
        raise Killed

    chain.on_push = die
    with pytest.raises(Killed):
        h.outbox.tick(chain.head, 7)
    chain.on_push = lambda raw: None
    again = hands(chain, tmp_path)
    again.seal(Seal(E, ()))
    again.commit(Commit(E, 1019))
    for _ in range(4):
        chain.mine()
        again.outbox.tick(chain.head, 7)
    assert chain.nonce() == 1 and again.outbox.get("commit:101").succeeded  # type: ignore[union-attr]


def test_seal__two_epochs__fresh_salts(tmp_path: Path) -> None:
    h = hands(FakeChain(), tmp_path)
    one, two = h.seal(Seal(E, ())), h.seal(Seal(Epoch(102), ()))
    assert one.salt != two.salt and len(one.salt) == 32 and one.digest != two.digest


def test_give_up__batch_of_two_jobs__is_needed_until_both_are_over(tmp_path: Path) -> None:
    h = hands(FakeChain(), tmp_path)
    ours = [computed(h, job, 0, b"of job %d" % job) for job in (1, 2)]
    batch = h.seal(Seal(E, ((JobId(1), Shard(0)), (JobId(2), Shard(0)))))
    h.publish(batch)
    manifest = Cid.from_digest(batch.manifest_digest)
    assert h.store.local.pins()[manifest] == ["results-1", "results-2"]
    h.give_up([JobId(1)])
    assert [path.name for path in h.pending.iterdir()] == ["2-0.results"]
    h.store.keep_labels({"results-2"})
    assert h.store.local.pins() == {ours[1]: ["results-2"], manifest: ["results-2"]}
    h.store.keep_labels(set())
    assert h.store.local.pins() == {} and h.store.has(ours[0]), "served as long as there is room"


def test_reveal__leaves__results_and_manifest_are_served_only_now(tmp_path: Path) -> None:
    chain = FakeChain()
    h = hands(chain, tmp_path)
    results = [computed(h, 1, 0, b"zero"), computed(h, 1, 1, b"one")]
    batch = h.seal(Seal(E, KEYS))
    h.commit(Commit(E, 1019))
    h.outbox.tick(chain.head, 7)
    manifest = Cid.from_digest(batch.manifest_digest)
    assert not any(h.store.local.has(cid) for cid in [*results, manifest]), "a copier would find the answers"
    h.reveal(Reveal(E, 1089))
    h.outbox.tick(chain.head, 7)
    name, args = sent(chain)
    assert name == "reveal" and args["salt"] == batch.salt and args["manifest"] == batch.manifest_digest
    assert all(h.store.local.has(cid) for cid in [*results, manifest])
    document = h.store.get_bytes(manifest, 1 << 20)
    assert hashlib.sha256(document).digest() == args["manifest"]
    assert [leaf.results.cid for leaf in parse_batch_manifest(document).leaves] == [str(cid) for cid in results]


def test_turn__two_epochs__opens_the_first_and_seals_the_second(tmp_path: Path) -> None:
    chain = FakeChain()
    h = hands(chain, tmp_path)
    opened, hidden = computed(h, 1, 0, b"zero"), computed(h, 2, 0, b"two")
    one, two = h.seal(Seal(E, KEYS[1:])), h.seal(Seal(Epoch(102), ((JobId(2), Shard(0)),)))
    h.turn(Turn(Epoch(102), 1029))
    h.outbox.tick(chain.head, 7)
    name, args = sent(chain)
    assert name == "turn" and (args["salt"], args["digest"]) == (one.salt, two.digest)
    assert h.store.local.has(opened) and not h.store.local.has(hidden)


def test_submit__failed_before__tried_again(tmp_path: Path) -> None:
    chain = FakeChain()
    h = hands(chain, tmp_path)
    h.seal(Seal(E, ()))
    data = keccak(b"WrongEpoch(uint32,uint32)")[:4] + encode(["uint32", "uint32"], [100, 101])
    chain.gas_estimate = RpcError("eth_estimateGas", 3, "execution reverted", data)
    h.commit(Commit(E, 1019))
    h.outbox.tick(chain.head, 7)
    assert h.outbox.get("commit:101").state == "failed"  # type: ignore[union-attr]
    chain.gas_estimate = 50_000
    h.commit(Commit(E, 1019))
    h.commit(Commit(E, 1019))
    h.outbox.tick(chain.head, 7)
    assert len(chain.mempool) == 1 and h.outbox.get("commit:101").state == "sent"  # type: ignore[union-attr]


def test_reveal__no_opening_on_disk__fatal(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="no opening of epoch 101"):
        hands(FakeChain(), tmp_path).reveal(Reveal(E, 1089))


def test_seal__more_shards_than_a_batch_holds__the_first_512(tmp_path: Path) -> None:
    h = hands(FakeChain(), tmp_path)
    keys = tuple((JobId(1), Shard(s)) for s in range(515))
    for _, shard in keys:
        h.ledger.add_result(Result(JobId(1), shard, keccak(b"r"), b"q", str(Cid.of(b"r")), 1, 1))
    assert len(parse_leaves(h.seal(Seal(E, keys)).leaves)) == 512


def test_reveal__store_is_full__the_opening_leaves_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = FakeChain()
    h = hands(chain, tmp_path)
    computed(h, 1, 0, b"zero")
    h.seal(Seal(E, KEYS[1:]))

    def full(*_: object) -> Cid:
        raise StoreFailed("cannot store it: No space left on device")

    monkeypatch.setattr(h.store.local, "put_file", full)
    with structlog.testing.capture_logs() as logs:
        h.reveal(Reveal(E, 1039))
        h.outbox.tick(chain.head, 7)
    assert sent(chain)[0] == "reveal" and logs[0]["event"] == "results_not_served"
