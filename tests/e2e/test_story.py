"""The story with real processes, through the commands people type.

post → commit → reveal → settle → final → verify → close → withdraw
├── all goes well: outputs, receipts, refund, earnings
├── the requester is killed while it waits → the same call finds the same job and pays once
├── a byte flips in one agent's store → detected, fetched again, still in agreement
├── a byte flips in the results an agent serves → the requester gets them elsewhere
└── a weight changes in one node after the check → exactly that node dissents and is unpaid
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nodeagent.client.fetching import holders
from nodeagent.client.history import find_jobs
from nodeagent.client.jobstate import JobStates
from nodeagent.content.cid import Cid
from nodeagent.demo.ledgerbook import committees
from nodeagent.protocol.manifest import parse_batch_manifest
from tests.e2e.support.world import ROGUE, World, environment, flip_a_byte, quorate_argv, until


@pytest.fixture(scope="module")
def told(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """A job that went through, and its folder."""
    folder = tmp_path_factory.mktemp("story")
    return world.post(folder, seed=1), folder


def test_post__all_goes_well__every_task_is_answered_and_equal_to_this_machines(
    world: World, told: tuple[int, Path]
) -> None:
    job, folder = told
    with np.load(folder / "out" / "outputs.npz", allow_pickle=False) as outputs:
        assert outputs["__status__"].tolist() == [0] * 12
        assert outputs["y"].shape == (12, 3)
    words = ["--model", str(folder / "model.onnx"), "--inputs", str(folder / "inputs.npz"), "--json"]
    checked = world.quorate("check", *words, "--against", str(folder / "out" / "outputs.npz"))
    assert json.loads(checked.stdout)["equal"] == 12
    assert world.history(job).done


def test_verify__untouched__is_final_on_chain_and_tampered_is_not(
    world: World, told: tuple[int, Path], tmp_path: Path
) -> None:
    job, folder = told
    receipts = folder / "out" / "receipts.json"
    said = json.loads(world.quorate("verify", str(receipts), "--json").stdout)
    assert (said["job"], said["tasks"], said["verified"]) == (job, 12, 12)
    one = json.loads(world.quorate("verify", str(receipts), "--task", "7", "--json").stdout)
    assert (one["tasks"], one["verified"]) == (1, 1)

    results = bytearray((folder / "out" / "results.bin").read_bytes())
    results[-1] ^= 1
    (tmp_path / "results.bin").write_bytes(results)
    (tmp_path / "receipts.json").write_bytes(receipts.read_bytes())
    said = json.loads(world.quorate("verify", str(tmp_path / "receipts.json"), "--json", expect=1).stdout)
    assert said["verified"] == 11
    assert [p["task"] for p in said["problems"]] == [11]


def test_verify__a_settlement_nobody_made__is_refused_by_the_chain(
    world: World, told: tuple[int, Path], tmp_path: Path
) -> None:
    """Proofs that fit each other are not enough: the market must have stored the root."""
    from nodeagent.protocol.receipts import encode_receipts, hex_path, parse_receipts
    from nodeagent.protocol.settlement import settlement_tree
    from nodeagent.protocol.types import JobId

    job, folder = told
    document = parse_receipts((folder / "out" / "receipts.json").read_bytes())
    forged = [shard.model_copy(update={"attempt": 2}) for shard in document.shards]
    tree = settlement_tree([shard.settled_leaf(JobId(job)) for shard in forged])
    rows = tuple(
        shard.model_copy(update={"path": hex_path(tree.proof(i)), "settlement_root": "0x" + tree.root.hex()})
        for i, shard in enumerate(forged)
    )
    (tmp_path / "receipts.json").write_bytes(encode_receipts(document.model_copy(update={"shards": rows})))
    (tmp_path / "results.bin").write_bytes((folder / "out" / "results.bin").read_bytes())
    offline = world.quorate("verify", str(tmp_path / "receipts.json"), "--offline", "--json")
    assert json.loads(offline.stdout)["verified"] == 12
    asked = json.loads(world.quorate("verify", str(tmp_path / "receipts.json"), "--json", expect=1).stdout)
    assert asked["verified"] == 0


def test_job_list_and_watch__settled_job__say_so(world: World, told: tuple[int, Path]) -> None:
    job, _ = told
    row = next(r for r in json.loads(world.quorate("job", "list", "--json").stdout) if r["job"] == job)
    assert (row["shards"], row["settled"], row["state"]) == (3, 3, "settled")
    seen = json.loads(world.quorate("job", "watch", str(job), "--json").stdout)
    assert {shard["status"] for shard in seen["shards"]} == {"FINAL"}


def test_post__killed_while_it_waits__the_same_call_attaches_and_pays_once(world: World, tmp_path: Path) -> None:
    words = world.post_words(tmp_path, seed=2)
    money = world.doors.payment_token.balance_of(str(world.state.requester))
    before = len(find_jobs(world.rpc, world.deployment, str(world.state.requester)))
    argv = quorate_argv(world.requester_home, *words)
    first = subprocess.Popen(argv, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    states = JobStates(world.requester_home / "jobs")
    known = {s.name for s in states.all() if s.job is not None}
    job = until("the post", lambda: next((s.job for s in states.all() if s.job and s.name not in known), None))
    first.send_signal(signal.SIGKILL)
    first.wait()
    paid = world.doors.payment_token.balance_of(str(world.state.requester))
    assert paid < money

    again = world.quorate(*words)
    assert f"attached to job {job}" in again.stderr
    assert json.loads(again.stdout)["answered_tasks"] == 12
    assert len(find_jobs(world.rpc, world.deployment, str(world.state.requester))) == before + 1
    assert world.doors.payment_token.balance_of(str(world.state.requester)) == paid


def test_post__byte_flipped_in_an_agents_store__is_detected_and_fetched_again(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    world.post(folder, seed=3, committee=5)
    model = str(Cid.from_digest(hashlib.sha256((folder / "model.onnx").read_bytes()).digest()))
    held = world.store_file(1, model)
    ready = held.parents[3] / "scratch" / "pantry" / "models" / model  # what the runtime loads
    good = held.read_bytes()
    for copy in (held, ready):
        assert copy.read_bytes() == good
        flip_a_byte(copy)
        assert copy.read_bytes() != good

    again = tmp_path / "b"
    again.mkdir()
    (again / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    job = world.post(again, seed=4, committee=5)
    assert held.read_bytes() == ready.read_bytes() == good
    assert "content.block_corrupt" in world.log_of(1)
    paid = committees(world.rpc, world.deployment, world.history(job)).paid
    assert all(1 in nodes for nodes in paid.values())


def test_fetch__byte_flipped_in_served_results__gets_them_from_elsewhere(
    world: World, told: tuple[int, Path], tmp_path: Path
) -> None:
    job, folder = told
    history = world.history(job)
    _, first = holders(history, 0)[0]
    node = int(first.node)
    manifest = parse_batch_manifest(world.store_file(node, str(Cid.from_digest(first.manifest))).read_bytes())
    entry = next(e for e in manifest.leaves if (e.job, e.shard) == (job, 0))
    flip_a_byte(world.store_file(node, entry.results.cid))

    fresh = tmp_path / "home"
    fresh.mkdir()
    (fresh / "config.toml").write_bytes((world.requester_home / "config.toml").read_bytes())
    world.quorate("job", "fetch", str(job), "--out", str(tmp_path / "out"), home=fresh)
    for name in ("outputs.npz", "results.bin", "receipts.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / "out" / name).read_bytes()
    assert "content.block_corrupt" in world.log_of(node)


def test_post__weight_changed_after_the_check_in_one_node__it_alone_dissents_and_is_unpaid(
    world: World, tmp_path: Path
) -> None:
    rogue = 2
    argv = [sys.executable, "-s", "-P", str(ROGUE)]
    world.restart(rogue, executor_argv=argv, settle=False)  # a settler's fee is no pay for an answer
    try:
        before = world.earned()
        job = world.post(tmp_path / "job", seed=5, committee=5)
        after = world.earned()
    finally:
        world.restart(rogue, executor_argv=None, settle=None)
    history = world.history(job)
    paid = committees(world.rpc, world.deployment, history).paid
    assert {number: sorted(nodes) for number, nodes in paid.items()} == {n: [1, 3, 4, 5] for n in range(3)}
    for number, settlement in history.settled.items():
        roots = {int(a.node): a.root for a in history.answers if a.shard == number}
        assert set(roots) == {1, 2, 3, 4, 5}
        assert [node for node, root in roots.items() if root != settlement.entry.root] == [rogue]
    gained = {node: after[node] - before[node] for node in after}
    assert gained[rogue] == 0
    assert all(gain > 0 for node, gain in gained.items() if node != rogue)
    checked = world.quorate("verify", str(tmp_path / "job" / "out" / "receipts.json"), "--json")
    assert json.loads(checked.stdout)["verified"] == 12


def test_close_and_withdraw__after_the_deadlines__everybody_has_their_money(
    world: World, told: tuple[int, Path]
) -> None:
    job, _ = told
    market, token, requester = world.doors.market, world.doors.payment_token, str(world.state.requester)
    view = market.job_view(job)  # type: ignore[arg-type]
    world.mine_to_epoch(view["closableFrom"])
    money = token.balance_of(requester)
    closed = json.loads(world.quorate("job", "close", str(job), "--yes", "--json").stdout)
    assert closed["refund"] == view["held"]
    assert token.balance_of(requester) == money + closed["collected"]
    assert market.job_view(job)["held"] == 0  # type: ignore[arg-type]

    node, earned = max(world.earned().items(), key=lambda item: item[1])
    operator = str(world.agents[node].operator)
    had = token.balance_of(operator)
    world.nodeagent(node, "withdraw")
    assert token.balance_of(operator) >= had + earned > had
    assert world.earned()[node] == 0
