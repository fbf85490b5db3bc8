"""Puts an agent together from a home, and takes it apart again. The only place that knows all its parts."""

from __future__ import annotations

import contextlib
import ipaddress
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from nodeagent.chain.deployment import Deployment, load_deployment, verify_deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.outbox import FeeCaps, Outbox
from nodeagent.chain.rpc import Rpc
from nodeagent.chain.scan import Scanner
from nodeagent.config import GWEI, Home, NodeConfig
from nodeagent.content import open_content
from nodeagent.content.backends import Backends
from nodeagent.content.fetch import Fetcher
from nodeagent.content.gateway import Gateway
from nodeagent.content.rate import Rate
from nodeagent.errors import Fatal
from nodeagent.protocol.nodedoc import NodeDocument, encode_node
from nodeagent.protocol.types import NodeId, PoolId
from nodeagent.runtimes import identity
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.jail import walls
from nodeagent.runtimes.jail.walls import Jail
from nodeagent.runtimes.types import CANONICAL, ExecutorLimits
from nodeagent.worker.admission import Admission, Machine, Span
from nodeagent.worker.agent import Agent, Habits
from nodeagent.worker.appealbook import AppealBook
from nodeagent.worker.appeals import Policy
from nodeagent.worker.bench import Bench
from nodeagent.worker.courtroom import Courtroom
from nodeagent.worker.hands import Hands
from nodeagent.worker.ledger import Ledger
from nodeagent.worker.live import only_one, write_live
from nodeagent.worker.pantry import Pantry
from nodeagent.worker.reporter import Reporter
from nodeagent.worker.sender import Sender
from nodeagent.worker.settler import Settler
from nodeagent.worker.shelf import Room
from nodeagent.worker.world import World

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

log = structlog.get_logger(__name__)


class NotRegistered(Fatal):
    """The key acts for no node yet."""


class RecordsFailed(Fatal):
    """The disk refuses the ledger. Nothing that left is forgotten: every record is written before its call leaves."""


@contextlib.contextmanager
def records(path: Path) -> Iterator[None]:
    """Makes what SQLite says of the ledger's disk a RecordsFailed: without records the agent must not go on."""
    try:
        yield
    except sqlite3.OperationalError as fault:
        hint = "free disk space and check permissions, then start again soon: what is sealed has to be opened in time"
        raise RecordsFailed(f"{path} cannot be read or written: {fault}", hint=hint) from fault


def open_chain(home: Home, config: NodeConfig) -> tuple[Rpc, Deployment, Doors]:
    """The endpoint and the contracts, checked against each other. Raises WrongChain, BadDeployment, RpcUnreachable."""
    rpc = Rpc(config.rpc_url)
    deployment = verify_deployment(rpc, load_deployment(home.resolve(config.deployment)))
    return rpc, deployment, Doors.of(rpc, deployment)


def executor_limits(config: NodeConfig) -> ExecutorLimits:
    return ExecutorLimits(data_bytes=config.memory_mib << 20, task_s=config.task_seconds, niceness=config.niceness)


def appeal_policy(config: NodeConfig) -> Policy:
    """What the operator allows, from its configuration."""
    return Policy(
        auto=config.appeal == "auto",
        max_bond=config.appeal_max_bond,
        max_cost=config.appeal_max_cost,
        confidence=config.appeal_confidence,
        max_lost=config.appeal_max_lost,
        stake_price=config.appeal_stake_price,
        ether_price=config.report_stake_price,
    )


@contextlib.contextmanager
def open_agent(
    home: Home, config: NodeConfig, account: LocalAccount, *, unsafe_no_jail: bool = False
) -> Iterator[Agent]:
    """A ready agent with its gateway and executors; everything ends with the block.

    Raises Fatal (AlreadyRunning, NotRegistered, WrongChain, NoJail, …) when a person must act, Transient when the chain
    is not there.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_one(home))
        jail = choose_jail(home, config, unsafe=unsafe_no_jail)
        stack.enter_context(records(home.database))
        rpc, deployment, doors = open_chain(home, config)
        stack.callback(rpc.close)
        node = doors.ledger.node_of(account.address)
        if not node:
            raise NotRegistered(f"the key {account.address} acts for no node", hint="run: nodeagent seats take")
        view = doors.registry.node_view(node)
        ledger = Ledger(home.database)
        stack.callback(ledger.close)
        ledger.bind({"chain": str(deployment.chain_id), "market": deployment.market, "node": str(node)})
        store = open_content(home.path, config.kubo_api, config.content_max_bytes)
        up, down = Rate(config.upload_kib_s << 10), Rate(config.download_kib_s << 10)
        gateway = stack.enter_context(Gateway(store.local, config.gateway_host, config.gateway_port, rate=up))
        url = config.public_url or gateway.url
        wake = threading.Event()
        outbox = _open_outbox(rpc, account, ledger, deployment, config)
        bench = _open_bench(home, config, jail, Fetcher(store, kubo=store.kubo, rate=down), store, wake)
        stack.callback(bench.close)
        hands = Hands(rpc, deployment, doors, outbox, ledger, store, home.pending, node)
        stagger = config.settle_stagger_blocks
        sender = Sender(hands, int(config.tip_gwei * GWEI), stagger)
        pool = PoolId(view["pool"])
        agent = Agent(
            rpc,
            hands,
            Scanner(rpc, deployment.addresses, ledger, start=deployment.start_block),
            bench,
            sender,
            Settler(hands, sender, stagger, config.withdraw_above, config.report_stake_price, config.settle),
            Reporter(hands, sender, config.report_stake_price, config.report_faults, config.report_public),
            _open_courtroom(hands, sender, config),
            lambda: World(node, pool, deployment.epoch_blocks),
            _habits(config),
            own_url=url,
            machine=machine(config),
            wake=wake,
            report=lambda agent: write_live(home, agent, jail),
        )
        _announce(hands, node, url, jail)
        if away := out_of_reach(url, config.rpc_url):
            agent.problems["gateway"] = away
            log.warning("problem", about="gateway", message=away)
        told = {"gateway": gateway.url, "public": url, "jail": str(jail)}
        log.info("agent_ready", node=node, pool=pool, chain=deployment.chain_id, **told)
        yield agent


def _open_outbox(rpc: Rpc, account: LocalAccount, ledger: Ledger, deployment: Deployment, config: NodeConfig) -> Outbox:
    return Outbox(
        rpc,
        account,
        ledger.connection,
        chain_id=deployment.chain_id,
        fees=FeeCaps(max_fee=int(config.max_fee_gwei * GWEI), tip=int(config.tip_gwei * GWEI)),
        confirmations=config.reorg_depth_blocks,
    )


def admission(config: NodeConfig) -> Admission:
    """What the operator lets run, from its configuration."""
    return Admission(
        config.min_unit_price,
        frozenset(address.lower() for address in config.allow_requesters),
        frozenset(address.lower() for address in config.deny_requesters),
        frozenset(config.allow_models),
        frozenset(config.deny_models),
        frozenset(config.allow_runtimes),
    )


def machine(config: NodeConfig) -> Machine:
    """When the operator lets it run."""
    spans = [Span.parse(text) for text in config.work_hours]
    return Machine(spans, mains_only=config.mains_only, idle_below=config.idle_below)


def _habits(config: NodeConfig) -> Habits:
    return Habits(
        config.poll_seconds,
        admission(config),
        config.auto_resume,
        config.reveal_depth_blocks,
        config.commit_margin_blocks,
        config.commit_margin_seconds,
    )


def choose_jail(home: Home, config: NodeConfig, *, unsafe: bool = False) -> Jail:
    """The jail of this machine that the configuration asks for; none when ``unsafe`` was typed.

    Raises NoJail, also where jailed work could read the home.
    """
    if unsafe:
        log.warning("no_jail", hint="strangers' payloads run with the agent's own rights on this machine")
        return walls.NONE
    jail = walls.choose(config.jail)
    walls.keep_out(home.path, identity.home(home.resolve(config.runtimes)))
    return jail


def _open_bench(
    home: Home, config: NodeConfig, jail: Jail, fetcher: Fetcher, store: Any, wake: threading.Event
) -> Bench:
    runtimes = home.resolve(config.runtimes)
    limits, argv = executor_limits(config), config.executor_argv or None
    scratch = home.path / "scratch"
    payload = scratch / "pantry"

    def executor(name: str) -> Executor:
        return Executor(runtimes, limits, scratch / name, payload=[payload], jail=jail, worker_argv=argv)

    executors = [executor(f"executor-{n}") for n in range(config.cores)]
    ids = executors[0].runtime_ids()
    if CANONICAL not in ids:
        log.warning("runtime_missing", runtime=CANONICAL, hint="nodeagent init brings it; until then all is passed")
    room = Room(config.payload_max_bytes, config.payload_min_free_bytes)
    backends = Backends(config.content_order, config.gateways, kubo=config.kubo_api is not None)
    pantry = Pantry(store, fetcher, payload, ids, room, admission(config), backends)
    return Bench(pantry, executors, home.pending, wake, fresh=lambda: executor("executor-again"))


def _open_courtroom(hands: Hands, sender: Sender, config: NodeConfig) -> Courtroom | None:
    """None in a deployment without a Court."""
    court = hands.doors.court
    if court is None:
        return None
    book = AppealBook(hands.ledger.connection)
    return Courtroom(hands, sender, court, book, appeal_policy(config), config.settle_stagger_blocks, config.settle)


def _announce(hands: Hands, node: NodeId, url: str, jail: Jail) -> None:
    """Publishes the gateway's address and the node's document when others know another. Sent with the first block."""
    document, digest = encode_node(NodeDocument(jail=jail.kind, walls=jail.walls))
    hands.store.put_bytes(document)
    told = f"{url} {digest.hex()}"
    if hands.ledger.meta("announced") != told:
        number = int(hands.ledger.meta("announcements") or 0) + 1
        hands.submit(f"announce:{number}", hands.doors.registry.call("announce", node, url, digest), None)
        hands.ledger.set_meta("announcements", str(number))
        hands.ledger.set_meta("announced", told)


def out_of_reach(url: str, rpc_url: str) -> str | None:
    """A complaint when a node of a chain elsewhere announces an address that is only its own machine's: judges of its
    appeals, and requesters, then get nothing from it."""
    if _is_loopback(url) and not _is_loopback(rpc_url):
        return f"others cannot reach {url}: set public_url, or appeals depend on strangers who serve the payload"
    return None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
