"""A devnet of eight agents, two of which compute the same wrong answers, and a requester whose jobs can be appealed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TypeVar

from nodeagent.chain import events as ev
from nodeagent.chain.court import CourtDoor
from nodeagent.chain.decoding import decode_log
from nodeagent.devnet.contracts import Bank, wait_for
from nodeagent.devnet.network import Options
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.leaves import parse_leaves
from tests.e2e.support.world import ROGUE, World, environment, quorate_argv, small_model, some_inputs, until

ROGUES = (1, 2)
MONEY, ALLOWED = 1_000 * 10**6, 500 * 10**6
SHARDS, MOST_JOBS = 20, 4
E = TypeVar("E", bound=ev.Event)


class CourtNet(World):
    """Honest operators have money and allow the Court to take it; rogues never appeal. Eight nodes are a committee of
    three and five judges: as few as a job that can be appealed takes."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, Options(nodes=8, seats=1, block_time=0.5))
        self.posting: list[subprocess.Popen[bytes]] = []
        argv = [sys.executable, "-s", "-P", str(ROGUE)]
        self.restart_all(
            ROGUES, executor_argv=argv, appeal="off", settle=False
        )  # a settler's fee is no pay for answers
        record = self.state.deployment
        assert record is not None
        bank = Bank(self.rpc, record)
        for node in self.honest:
            bank.give(self.operator(node), payment=MONEY)
        allowed = self.nodeagent(self.honest[0], "appeals", "allow", "500", "--yes")  # as an operator types it
        assert allowed["allowance"] == ALLOWED and allowed["court"] == self.court.address
        wait_for(self.rpc, [self.allow(node) for node in self.honest[1:]])

    @property
    def honest(self) -> list[int]:
        return [node for node in self.agents if node not in ROGUES]

    @property
    def court(self) -> CourtDoor:
        assert self.doors.court is not None
        return self.doors.court

    def operator(self, node: int) -> str:
        return str(self.agents[node].operator)

    def allow(self, node: int) -> str:
        """The same transaction, sent by the chain itself to save time."""
        call, sender = self.doors.payment_token.call("approve", self.court.address, ALLOWED), self.operator(node)
        self.rpc.call("anvil_impersonateAccount", [sender])
        request = {"from": sender, "to": call.to, "data": "0x" + call.data.hex()}
        return str(self.rpc.call("eth_sendTransaction", [request]))

    def events(self, kind: type[E]) -> list[E]:
        """All of one kind, in chain order."""
        query = {"address": self.deployment.addresses, "fromBlock": hex(self.deployment.start_block)}
        found = [decode_log(log) for log in self.rpc.call("eth_getLogs", [{**query, "toBlock": "latest"}])]
        return [event for event in found if isinstance(event, kind)]

    def rewards_paid(self, head: int) -> int:
        """Stake-token units of rewards that were collected up to block ``head``."""
        topic = "0x" + keccak(b"RewardCollected(address,uint256)").hex()
        query = {"address": self.doors.registry.address, "fromBlock": "0x0", "toBlock": hex(head), "topics": [topic]}
        return sum(int(log["data"], 16) for log in self.rpc.call("eth_getLogs", [query]))

    def post_appealable(self, folder: Path, seed: int) -> None:
        """Posts a job of one-task shards and keeps serving it in the background."""
        folder.mkdir()
        model, inputs = small_model(folder / "model.onnx", seed), some_inputs(folder / "inputs.npz", SHARDS, seed)
        words = ["job", "post", "--model", str(model), "--inputs", str(inputs), "--shard-size", "1", "--work", "2"]
        words += ["--appeal-epochs", "6", "--unit-price", "0.001", "--wait", "--out", str(folder / "out"), "--yes"]
        with (folder / "post.log").open("wb") as log:
            argv = quorate_argv(self.requester_home, *words)
            self.posting.append(subprocess.Popen(argv, env=environment(), stdout=log, stderr=log))

    def until_appealed(self, folder: Path) -> ev.Appealed:
        """Posts jobs, one after the other is settled, until a draw held both rogues and somebody appealed."""
        for number in range(MOST_JOBS):
            self.post_appealable(folder / f"job-{number}", number)
            wanted = (number + 1) * SHARDS

            def look(wanted: int = wanted, log: Path = folder / f"job-{number}" / "post.log") -> bool:
                assert self.posting[-1].poll() in (None, 0), log.read_text(errors="replace")[-3000:]
                settled = sum(len(event.shards) for event in self.events(ev.Settled))
                return settled >= wanted or bool(self.events(ev.Appealed))

            until("every shard is settled, or an appeal", look)
            both = [e for e in self.events(ev.Settled) for leaf in e.shards if self.wrong_leaf(leaf.job, leaf.shard)]
            if both:
                return until("an appeal", lambda: next(iter(self.events(ev.Appealed)), None))
        raise AssertionError(f"no draw of {MOST_JOBS * SHARDS} held both of {ROGUES}")

    def wrong_leaf(self, job: int, shard: int) -> bool:
        """Whether a shard was settled with an answer that an honest node did not open."""
        settled = {(leaf.job, leaf.shard): leaf.root for e in self.events(ev.Settled) for leaf in e.shards}
        return any(
            root != settled[key] for node, key, root in self.answers() if node in self.honest and key == (job, shard)
        )

    def answers(self) -> list[tuple[int, tuple[int, int], bytes]]:
        """(node, (job, shard), root) of everything that was opened."""
        return [
            (int(e.node), (int(leaf.job), int(leaf.shard)), leaf.root)
            for e in self.events(ev.Revealed)
            for leaf in parse_leaves(e.leaves)
        ]

    def close(self) -> None:
        for process in self.posting:
            process.kill()
            process.wait()
        self.devnet.down(keep=True)  # pytest keeps the last folders: their logs tell why
