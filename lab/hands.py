"""What people do by hand in some scenarios: operators who top up or leave, a requester who griefs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from lab.payload import make_model
from lab.stage import Purse, Stage
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.client.wallet import Wallet
from nodeagent.devnet import agents as nodes
from nodeagent.protocol.documents import Content
from nodeagent.protocol.manifest import JobManifest, encode_manifest
from nodeagent.protocol.types import JobId, NodeId

LEAVE_AFTER = 2  # epochs of honest work before the seats are left
GRIEF_SHARDS, SHARD_TASKS = 6, 2
WIDE = 1_024  # columns of a model that needs more than one unit a task


class Hands:
    """Nothing is done by hand."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def begin(self) -> None:
        """Once, right after the job was posted."""

    def tick(self, block: int) -> None:
        """After every block."""

    def end(self) -> None:
        """When all is over."""

    def checks(self) -> dict[str, bool]:
        """What has to hold besides what holds of every scenario."""
        return {}


class Restock(Hands):
    """Adversaries' operators top slashed stake up at once, so that their share stays what it was."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._wallets: dict[int, Wallet] = {}

    def begin(self) -> None:
        doors = self.stage.net.doors
        for number in self.stage.scenario.adversaries:
            wallet = self._wallets[number] = self.stage.net.operator(number)
            wallet.send(doors.stake_token.call("approve", doors.registry.address, 1 << 255))

    def tick(self, block: int) -> None:
        del block
        net = self.stage.net
        for number, wallet in self._wallets.items():
            node = NodeId(net.node(number))
            view, terms = net.doors.registry.node_view(node), net.doors.registry.pool_view(self.stage.pool)["terms"]
            missing = terms["seatStake"] * len(view["seats"]) - view["stake"]
            if missing > 0:
                wallet.send(net.doors.registry.call("addStake", node, missing))
            if view["paused"]:
                try:
                    wallet.send(net.doors.registry.call("resumeNode", node))
                except (Reverted, RpcError):  # its agent was faster
                    continue


class Leave(Hands):
    """Operators who give all their seats up in the middle of a job."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._pool = ThreadPoolExecutor(1)
        self._left: list[Future[str]] = []
        self._from = 0

    def begin(self) -> None:
        net = self.stage.net
        self._from = net.rpc.block_number() + LEAVE_AFTER * net.deployment.epoch_blocks

    def tick(self, block: int) -> None:
        if block >= self._from and not self._left:
            for number in self.stage.scenario.adversaries:
                agent, seats = self.stage.net.agents[number], str(self.stage.net.seats[number - 1])
                words = ("seats", "leave", seats, "--yes", "--json")
                self._left.append(self._pool.submit(nodes.run_step, agent, self.stage.net.wiring_of(), *words))

    def end(self) -> None:
        for left in self._left:
            left.result()
        self._pool.shutdown()

    def checks(self) -> dict[str, bool]:
        registry, net = self.stage.net.doors.registry, self.stage.net
        held = [len(registry.node_view(NodeId(net.node(n)))["seats"]) for n in self.stage.scenario.adversaries]
        return {"the seats were left": not any(held)}


class Grief(Hands):
    """A requester who posts what cannot be computed, and takes money back early."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.escrow: dict[JobId, int] = {}
        self.refused: dict[str, str] = {}
        self.before = self.after = Purse(0, 0, 0)

    def begin(self) -> None:
        self.before = self.stage.requester_purse()
        self._post("missing payload", secrets.token_bytes(32))
        self._post("malformed model", self._bad_model())
        self._post("too few units", self._greedy_model())
        early = self._post("closed early", self._plan().digest, pace=1)
        self._try("close", early)
        self.stage.session.wallet.send(self.stage.net.doors.market.call("cancel", early))

    def end(self) -> None:
        """Takes back what is left of every job, the last of them not before it may be closed."""
        market, wallet = self.stage.net.doors.market, self.stage.session.wallet
        for name in self._names:
            job = self.stage.jobs[name]
            while self.stage.net.rpc.block_number() // self.stage.net.deployment.epoch_blocks < self._closable(job):
                self.stage.net.beat(0.0)
            if market.job_view(job)["held"]:
                wallet.send(market.call("close", job))
        self.after = self.stage.requester_purse()

    @property
    def cost(self) -> Purse:
        """What griefing cost the requester: negative amounts."""
        return self.after - self.before

    def checks(self) -> dict[str, bool]:
        log = self.stage.read()
        settled = {name: sum(key[0] == self.stage.jobs[name] for key in log.world.settled) for name in self._names}
        return {
            "without a payload nothing settled, and nobody was paid": settled["missing payload"] == 0,
            "a malformed model was answered, and paid for": settled["malformed model"] == GRIEF_SHARDS,
            "too few units were answered, and paid for": settled["too few units"] == GRIEF_SHARDS,
            "closing early was refused": "close" in self.refused,
            "shards under way when the rest was cancelled settled": 0 < settled["closed early"] < GRIEF_SHARDS,
        }

    @property
    def _names(self) -> list[str]:
        return [name for name in self.stage.jobs if name != "main"]

    def _closable(self, job: JobId) -> int:
        return int(self.stage.net.doors.market.job_view(job)["closableFrom"])

    def _post(self, name: str, manifest: bytes, **changes: int) -> JobId:
        return self.stage.post(name, manifest, tasks=GRIEF_SHARDS * SHARD_TASKS, **changes)

    def _try(self, what: str, job: JobId) -> None:
        try:
            self.stage.session.wallet.send(self.stage.net.doors.market.call(what, job))
        except Reverted as fault:
            self.refused[what] = fault.name

    def _plan(self, **changes: object) -> _Document:
        payload = self.stage.payload
        if payload is None:
            raise ValueError("no payload was prepared")
        manifest = payload.plan.manifest
        tasks = GRIEF_SHARDS * SHARD_TASKS
        changed = manifest.model_copy(update={"tasks": tasks, "shards": manifest.shards[:GRIEF_SHARDS], **changes})
        return _Document(self.stage, changed)

    def _bad_model(self) -> bytes:
        junk = secrets.token_bytes(512)
        return self._plan(model=Content(cid=str(self.stage.session.store.put_bytes(junk)), bytes=len(junk))).digest

    def _greedy_model(self) -> bytes:
        path = self.stage.net.home / "requester" / "lab" / "wide.onnx"
        make_model(path, self.stage.seed, WIDE)
        cid = str(self.stage.session.store.put_file(path))
        return self._plan(model=Content(cid=cid, bytes=path.stat().st_size)).digest


class _Document:
    """A manifest, in the requester's store."""

    def __init__(self, stage: Stage, manifest: JobManifest) -> None:
        document, self.digest = encode_manifest(manifest)
        stage.session.store.put_bytes(document)


HANDS: dict[str, Callable[[Stage], Hands]] = {"": Hands, "restock": Restock, "leave": Leave, "grief": Grief}


def hands_of(stage: Stage) -> Hands:
    """Who acts by hand in a scenario."""
    return HANDS[stage.scenario.hands](stage)
