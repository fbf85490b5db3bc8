"""The story once through, by ape's contract calls on what ``ape run deploy`` deployed, with the bytes that
``nodeagent.protocol`` builds: post → commit → reveal → settle → verify → close and withdraw.

The market and the registry are paused right after the post and stay so until the end: new work stops, nothing else.
Each step is a fixture on the one before; time only moves forward.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ape
import pytest
from support import DEPLOYER, Run, admin, rpc
from walk import (
    COMMITTEE,
    EPOCH_BLOCKS,
    GROSS,
    MANIFEST,
    PRICE,
    SHARD_SIZE,
    SHARDS,
    TASKS,
    World,
    consent,
    spec,
    task_proof,
)

from ape_console_extras import ape_abi
from nodeagent.chain.headers import header_rlp
from nodeagent.protocol import leaves as leaves_module
from nodeagent.protocol import sortition
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.settlement import (
    LaneKey,
    OpenBatch,
    SettledLeaf,
    SettleEntry,
    build_settle,
    parse_settled,
    settlement_tree,
)
from nodeagent.protocol.types import Epoch, JobId, NodeId, PoolId, Shard, Task


@pytest.fixture(scope="module")
def world(deployed: Run, record: dict[str, Any], url: str) -> World:
    def bound(contract: str, abi: str | None = None) -> Any:
        return ape.Contract(record["contracts"][contract]["address"], abi=ape_abi(abi or contract))

    accounts = ape.accounts.test_accounts
    found = World(
        url=url,
        market=bound("JobMarket"),
        registry=bound("NodeRegistry"),
        ledger=bound("CommitLedger"),
        token=bound("QuorateToken"),
        payment=bound("PaymentToken", "TestStablecoin"),
        deployer=accounts[0],
        requester=accounts[4],
        operators=[accounts[i] for i in (5, 6, 7)],
        keys=[accounts[i] for i in (8, 9, 10)],
    )
    found.payment.transfer(found.requester, 10**9, sender=found.deployer)
    for operator in found.operators:
        found.token.transfer(operator, 200 * 10**18, sender=found.deployer)
        found.token.approve(found.registry, 2**256 - 1, sender=operator)
    return found


@pytest.fixture(scope="module")
def registered(world: World) -> list[int]:
    """Three nodes with two seats each; their seats are drawn from the next epoch but one on."""
    deadline = int(rpc(world.url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16) + 10_000
    for operator, key in zip(world.operators, world.keys, strict=True):
        signature = consent(world, operator, key, deadline)
        world.registry.register(1, 2, key, deadline, signature, "http://127.0.0.1:1", b"\0" * 32, sender=operator)
    world.to_epoch(world.epoch() + 2)
    return [1, 2, 3]


@pytest.fixture(scope="module")
def posted(world: World, registered: list[int]) -> SimpleNamespace:
    escrow = world.market.quoteEscrow(spec())
    world.payment.approve(world.market, escrow, sender=world.requester)
    world.market.post(spec(), sender=world.requester)
    job = world.market.jobCount()
    return SimpleNamespace(job=job, escrow=escrow, epoch=world.market.jobView(job).postEpoch)


@pytest.fixture(scope="module")
def paused(posted: SimpleNamespace, folder: Path) -> bool:
    """Both contracts paused, by the script."""
    for target in ("market", "registry"):
        run = admin(folder, "pause", target)
        assert run.exit_code == 0, run.output
    return True


@pytest.fixture(scope="module")
def trees() -> list[ResultTree]:
    """One shard's answers each; every member computes the same."""
    results = [TaskResult(0, bytes([task]) * (1_500 if task == 1 else 40)) for task in range(TASKS)]
    return [ResultTree(Task(s * 2), results[s * 2 : s * 2 + 2]) for s in range(SHARDS)]


@pytest.fixture(scope="module")
def committed(world: World, posted: SimpleNamespace, paused: bool, trees: list[ResultTree]) -> SimpleNamespace:
    """Every node sealed its batch; the third one dissents in the first shard."""
    epoch = posted.epoch + 1
    world.to_epoch(epoch)
    batches = {}
    for node, key in enumerate(world.keys, start=1):
        roots = [tree.root for tree in trees]
        if node == 3:
            roots[0] = b"\xee" * 32
        batch = tuple(Leaf(JobId(posted.job), Shard(s), root) for s, root in enumerate(roots))
        salt = bytes([node]) * 32
        digest = leaves_module.commit_digest(
            31337,
            bytes.fromhex(world.ledger.address[2:]),
            NodeId(node),
            Epoch(epoch),
            leaves_module.pack_leaves(batch),
            MANIFEST,
            salt,
        )
        world.ledger.commit(epoch, digest, sender=key)
        batches[node] = (batch, salt)
    return SimpleNamespace(epoch=epoch, batches=batches)


@pytest.fixture(scope="module")
def revealed(world: World, committed: SimpleNamespace) -> SimpleNamespace:
    world.to_epoch(committed.epoch + 1)
    for node, key in enumerate(world.keys, start=1):
        batch, salt = committed.batches[node]
        packed = leaves_module.pack_leaves(batch)
        world.ledger.reveal(node, committed.epoch, packed, MANIFEST, salt, sender=key)
    return committed


@pytest.fixture(scope="module")
def settled(
    world: World, posted: SimpleNamespace, revealed: SimpleNamespace, trees: list[ResultTree]
) -> SimpleNamespace:
    """One call for all shards, in the epoch of the reveal: no drawn slot is still sealed."""
    epoch = Epoch(revealed.epoch)
    block = rpc(world.url, "eth_getBlockByNumber", hex(epoch * EPOCH_BLOCKS + 1), False)
    world.ledger.recordSeed(header_rlp(block), sender=world.requester)
    seed = sortition.seed_from_randao(epoch, bytes.fromhex(block["mixHash"][2:]))
    entries, slots = [], []
    for shard, tree in enumerate(trees):
        words = sortition.draw_words(seed, JobId(posted.job), Shard(shard), epoch, PoolId(1), COMMITTEE)
        drawn = sortition.parse_slots(world.registry.committees(list(words)), COMMITTEE)
        slots.append(drawn)
        shown = tuple(LaneKey(node, epoch) if node else None for node in drawn)
        entries.append(SettleEntry(JobId(posted.job), Shard(shard), 0, tree.root, shown))
    batches = [OpenBatch(LaneKey(NodeId(node), epoch), revealed.batches[node][0]) for node in (1, 2, 3)]
    call = build_settle(entries, batches)
    receipt = world.market.settle(call.entries, call.lanes, call.openings, 1, sender=world.keys[0])
    event = next(iter(receipt.decode_logs(world.market.Settled)))
    return SimpleNamespace(event=event, leaves=parse_settled(bytes(event.leaves)), slots=slots)


def test_register__three_nodes__are_drawn_from(world: World, registered: list[int]) -> None:
    view = world.registry.poolView(1)
    assert (view.length, view.nodes) == (6, 3)
    assert world.registry.nodeView(1).stake == 200 * 10**18


def test_post__whole_escrow__is_pulled(world: World, posted: SimpleNamespace) -> None:
    assert posted.escrow == GROSS + GROSS // 100
    assert world.payment.balanceOf(world.market) >= posted.escrow
    view = world.market.jobView(posted.job)
    assert (view.requester, view.tasks, view.taskPrice) == (world.requester.address, TASKS, PRICE)


def test_pause__market_and_registry__stop_post_and_register(world: World, paused: bool) -> None:
    with pytest.raises(world.market.EnforcedPause):
        world.market.post(spec(), sender=world.requester)
    operator, key = ape.accounts.test_accounts[11], ape.accounts.test_accounts[12]
    with pytest.raises(world.registry.EnforcedPause):
        world.registry.register(1, 1, key, 2**40, b"", "", b"\0" * 32, sender=operator)


def test_commit__own_epoch__lane_is_sealed(world: World, committed: SimpleNamespace) -> None:
    pairs = b"".join(node.to_bytes(4, "big") + committed.epoch.to_bytes(4, "big") for node in (1, 2, 3))
    assert [word >> 224 for word in world.ledger.lanes(pairs)] == [committed.epoch] * 3


def test_reveal__next_epoch__lane_carries_the_root(world: World, revealed: SimpleNamespace) -> None:
    word = world.ledger.lanes((1).to_bytes(4, "big") + revealed.epoch.to_bytes(4, "big"))[0]
    root = leaves_module.leaves_root(leaves_module.pack_leaves(revealed.batches[1][0]))
    assert (word >> 216) & 0xFF == 1
    assert word & (1 << 216) - 1 == int.from_bytes(root[:27], "big")


def test_settle__quorum__pays_who_agreed(
    world: World, settled: SimpleNamespace, posted: SimpleNamespace, trees: list[ResultTree]
) -> None:
    assert [leaf.root for leaf in settled.leaves] == [tree.root for tree in trees]
    dissenter = 1 << settled.slots[0].index(3)
    assert settled.leaves[0].paid_slots == 0b111 ^ dissenter
    assert [leaf.paid_slots for leaf in settled.leaves[1:]] == [0b111, 0b111]
    assert settlement_tree(settled.leaves).root == bytes(settled.event.root)
    assert settled.leaves[0] == SettledLeaf(JobId(posted.job), Shard(0), 0, 0b111 ^ dissenter, trees[0].root)
    earned = [sum(world.market.earningsOf(node).values()) for node in (1, 2, 3)]
    fee = settled.event.fee  # for whoever settled: node 1
    assert fee == (PRICE * 2 * 2 + PRICE * 2 * 3 + PRICE * 1 * 3) // 100
    assert earned == [PRICE * TASKS + fee, PRICE * TASKS, PRICE * (TASKS - SHARD_SIZE)]


@pytest.mark.parametrize("task", range(TASKS))
def test_verify_task__final_answer__is_true_and_another_is_not(
    task: int, world: World, settled: SimpleNamespace, posted: SimpleNamespace, trees: list[ResultTree]
) -> None:
    result = trees[task // SHARD_SIZE].result(Task(task))
    proof = task_proof(settled, trees, task)
    assert world.market.verifyTask(posted.job, task, (result.status, result.data), proof) is True
    assert world.market.verifyTask(posted.job, task, (result.status, result.data + b"!"), proof) is False
    assert world.market.verifyTask(posted.job, task, (1, result.data), proof) is False


def test_verify_chunk__second_chunk_of_a_long_answer__is_true(
    world: World, settled: SimpleNamespace, posted: SimpleNamespace, trees: list[ResultTree]
) -> None:
    result = trees[0].result(Task(1))
    receipt, path = task_proof(settled, trees, 1)
    proof = (receipt, path, trees[0].chunk_proof(Task(1), 1), result.status, len(result.data))
    assert world.market.verifyChunk(posted.job, 1, 1, result.data[1024:], proof) is True
    assert world.market.verifyChunk(posted.job, 1, 0, result.data[1024:], proof) is False


def test_close__all_deadlines_over__every_coin_is_accounted_for(
    world: World, settled: SimpleNamespace, posted: SimpleNamespace
) -> None:
    world.to_epoch(world.market.jobView(posted.job).closableFrom)
    world.market.close(posted.job, sender=ape.accounts.test_accounts[13])
    paid = GROSS - PRICE * SHARD_SIZE + settled.event.fee  # all slots but the dissenter's
    assert world.market.owedTo(world.requester) == posted.escrow - paid
    before = world.payment.balanceOf(world.requester)
    world.market.collect(world.requester, sender=world.keys[0])
    assert world.payment.balanceOf(world.requester) - before == posted.escrow - paid

    world.to_epoch(world.epoch() + 128)  # pay has matured
    for node, operator in enumerate(world.operators, start=1):
        before = world.payment.balanceOf(operator)
        world.market.withdraw(node, sender=world.keys[node - 1])
        earned = {1: PRICE * TASKS + settled.event.fee, 2: PRICE * TASKS, 3: PRICE * (TASKS - SHARD_SIZE)}
        assert world.payment.balanceOf(operator) - before == earned[node]
    assert world.payment.balanceOf(world.market) == 0


def test_unpause__both__new_work_goes_on(world: World, settled: SimpleNamespace, folder: Path) -> None:
    for target in ("market", "registry"):
        run = admin(folder, "unpause", target)
        assert run.exit_code == 0, run.output
    world.payment.approve(world.market, world.market.quoteEscrow(spec()), sender=world.requester)
    before = world.market.jobCount()
    world.market.post(spec(), sender=world.requester)
    assert world.market.jobCount() == before + 1
    assert world.deployer.address == DEPLOYER
