"""What a node is and does, read from its records (read-only) and the chain. Works with and without a running agent."""

from __future__ import annotations

import sqlite3
from typing import Any

from nodeagent.chain.errors import RpcUnreachable
from nodeagent.config import Home, NodeConfig
from nodeagent.keys import keystore_address
from nodeagent.protocol.epochs import epoch_of
from nodeagent.worker.appealbook import STATES
from nodeagent.worker.live import read_live, running_pid
from nodeagent.worker.start import open_chain

_LAST = """
SELECT key, tx, mined_block FROM intents WHERE what IN ({}) AND state IN ('mined', 'final') ORDER BY nonce DESC
"""


def status(home: Home, config: NodeConfig) -> dict[str, Any]:
    """A JSON-able summary. What cannot be had is null, with the reason among ``problems``."""
    live, pid = read_live(home), running_pid(home)
    problems = dict(live.get("problems", {})) if pid else {}
    found: dict[str, Any] = {
        "home": str(home.path),
        "content_root": str(home.path / "content"),
        "key": keystore_address(home.key),
        "pid": pid,
        "running": pid is not None,
        "gateway": live.get("gateway"),
        "jail": live.get("jail") if pid else None,
        "resting": live.get("resting") if pid else None,
        "passed": live.get("passed", []) if pid else [],
        "open_work": live.get("open_work", 0) if pid else 0,
        "block_seconds": live.get("block_seconds"),
        **_records(home),
    }
    try:
        found.update(_chain(home, config, found["key"]))
    except RpcUnreachable as fault:
        problems["chain"] = str(fault)
    if found.get("node") == 0:
        problems["node"] = "the key acts for no node: run nodeagent seats take"
    if pid and live.get("jail") == "none":
        problems["jail"] = "strangers' payloads run without a jail (--unsafe-no-jail)"
    if pid is None:
        problems["agent"] = "the agent is not running: nodeagent run"
    found["problems"] = problems
    return found


def _records(home: Home) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "inferences": 0,
        "committed": 0,
        "revealed": 0,
        "withdrawn": 0,
        "last_commit": None,
        "last_reveal": None,
    }
    empty |= {"slashed": 0, "forfeited": 0, "appeals": dict.fromkeys(STATES, 0)}
    if not home.database.exists():
        return empty
    connection = sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)
    try:
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        own = int(meta.get("node", 0)).to_bytes(32, "big")
        committed, revealed = connection.execute("SELECT COUNT(*), TOTAL(opened) FROM lanes").fetchone()
        appeals = dict(connection.execute("SELECT state, COUNT(*) FROM appeals GROUP BY state"))
        return {
            "inferences": int(meta.get("inferences", 0)),
            "committed": committed,
            "revealed": int(revealed),
            "withdrawn": _sum(connection, "EarningsWithdrawn", own),
            "slashed": _sum(connection, "Slashed", own),
            "forfeited": _sum(connection, "Forfeited", own),
            "appeals": {state: appeals.get(state, 0) for state in STATES},
            "last_commit": _last(connection, ("commit", "turn")),
            "last_reveal": _last(connection, ("reveal", "turn")),
        }
    except sqlite3.OperationalError:  # a home whose agent never got far enough to make its tables
        return empty
    finally:
        connection.close()


def _sum(connection: sqlite3.Connection, kind: str, own: bytes) -> int:
    """The first amounts of one kind of event about this node, added up."""
    query = "SELECT data FROM events WHERE kind = ? AND substr(topics, 33, 32) = ?"
    return sum(int.from_bytes(row[0][:32], "big") for row in connection.execute(query, (kind, own)))


def _last(connection: sqlite3.Connection, kinds: tuple[str, ...]) -> dict[str, Any] | None:
    row = connection.execute(_LAST.format(",".join("?" * len(kinds))), kinds).fetchone()
    return {"intent": row[0], "tx": row[1], "block": row[2]} if row else None


def _chain(home: Home, config: NodeConfig, key: str) -> dict[str, Any]:
    rpc, deployment, doors = open_chain(home, config)
    block = rpc.block_number()
    node = doors.ledger.node_of(key)
    found: dict[str, Any] = {
        "chain_id": deployment.chain_id,
        "block": block,
        "epoch": epoch_of(block, deployment.epoch_blocks),
        "node": node,
        "key_balance": rpc.balance(key),
    }
    if not node:
        return found
    view = doors.registry.node_view(node)
    matured, maturing = doors.market.earnings_of(node)
    return {
        **found,
        "operator": view["operator"],
        "pool": view["pool"],
        "seats": len(view["seats"]),
        "stake": view["stake"],
        "unbonding": view["unbonding"],
        "unlock_epoch": view["unlockEpoch"],
        "paused": view["paused"],
        "matured": matured,
        "maturing": maturing,
        "earned": matured + maturing + _withdrawn(home),
        "owed": doors.market.owed_to(view["operator"]),
        "rewards": doors.registry.reward_of(view["operator"]),
    }


def _withdrawn(home: Home) -> int:
    return int(_records(home)["withdrawn"])
