"""JSON-RPC over HTTP: one connection pool, real batches, bounded retries, typed errors.

Thread-safe. Quantities come back as ``int`` where a helper names them; raw JSON otherwise.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import urllib3

from nodeagent.chain.errors import BadEndpoint, RpcBehind, RpcError, RpcUnreachable

Json = dict[str, Any]
BlockId = int | str  # a number, or "latest", "pending", "finalized"
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_RETRY_CODES = frozenset({-32005, -32016, 429})


class RpcLike(Protocol):
    """What scanning, doors and the outbox need of an endpoint; unit tests stand in here."""

    def call(self, method: str, params: Sequence[Any] = ()) -> Any: ...

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any | RpcError]: ...


def hex_block(block: BlockId) -> str:
    """The JSON-RPC form of a block identifier."""
    return hex(block) if isinstance(block, int) else block


def to_bytes(value: str) -> bytes:
    """Bytes of a 0x-prefixed hex string."""
    return bytes.fromhex(value[2:] if value[:2] in ("0x", "0X") else value)


class Rpc:
    """One HTTP endpoint.

    ``timeout`` is per attempt in seconds; ``retries`` counts further attempts after a transient fault, with
    exponential back-off and jitter from ``backoff`` seconds. Batches are cut into ``batch_size`` calls.

    :raises BadEndpoint: ``url`` is none
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 20.0,
        retries: int = 4,
        backoff: float = 0.1,
        batch_size: int = 200,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = _checked(url)
        self._retries, self._backoff, self._batch_size, self._sleep = retries, backoff, batch_size, sleep
        self._ids = itertools.count(1)
        self._pool = urllib3.PoolManager(
            maxsize=8, timeout=urllib3.Timeout(connect=min(timeout, 5.0), read=timeout), retries=False
        )

    def close(self) -> None:
        self._pool.clear()

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The ``result`` of one call. Raises RpcError or RpcUnreachable."""
        answer = self.batch([(method, params)])[0]
        if isinstance(answer, RpcError):
            raise answer
        return answer

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any | RpcError]:
        """Results in order; a failed call's place holds its RpcError. Raises RpcUnreachable."""
        out: list[Any | RpcError] = []
        for start in range(0, len(calls), self._batch_size):
            out.extend(self._send(calls[start : start + self._batch_size]))
        return out

    def _send(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any | RpcError]:
        bodies = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
            for method, params in calls
        ]
        payload = json.dumps(bodies if len(bodies) > 1 else bodies[0]).encode()
        why = "no attempt"
        for attempt in range(self._retries + 1):
            if attempt:
                self._sleep(self._backoff * 2 ** (attempt - 1) * (0.5 + random.random()))
            try:
                response = self._pool.request(
                    "POST", self.url, body=payload, headers={"Content-Type": "application/json"}
                )
            except urllib3.exceptions.HTTPError as fault:
                why = f"{type(fault).__name__}: {fault}"
                continue
            if response.status in _RETRY_STATUS:
                why = f"HTTP {response.status}"
                continue
            answers = _match(calls, bodies, response.data)
            if answers is None:
                why = f"HTTP {response.status} with an answer that is not JSON-RPC"
                continue
            if any(isinstance(a, RpcError) and a.code in _RETRY_CODES for a in answers) and attempt < self._retries:
                why = "rate limit"
                continue
            return answers
        raise RpcUnreachable(
            f"{self.url} gave no usable answer to {calls[0][0]} after {self._retries + 1} attempts: {why}",
            hint="check rpc_url and that the node is running",
        )

    # --- typed reads --------------------------------------------------------------------------------------------

    def chain_id(self) -> int:
        return int(self.call("eth_chainId"), 16)

    def block_number(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def block(self, block: BlockId = "latest") -> Json:
        """A block without its transactions' bodies. Raises RpcBehind where the endpoint has none."""
        found = self.call("eth_getBlockByNumber", [hex_block(block), False])
        if found is None:
            raise RpcBehind(f"{self.url} has no block {block}")
        return cast(Json, found)

    def code(self, address: str, block: BlockId = "latest") -> bytes:
        return to_bytes(self.call("eth_getCode", [address, hex_block(block)]))

    def balance(self, address: str, block: BlockId = "latest") -> int:
        """Wei."""
        return int(self.call("eth_getBalance", [address, hex_block(block)]), 16)

    def nonce(self, address: str, block: BlockId = "latest") -> int:
        return int(self.call("eth_getTransactionCount", [address, hex_block(block)]), 16)


def _checked(url: str) -> str:
    try:
        parts = urllib3.util.parse_url(url)
        good = parts.scheme in ("http", "https") and bool(parts.host)
    except urllib3.exceptions.LocationParseError:
        good = False
    if not good:
        raise BadEndpoint(
            f"{url!r} is not the URL of a JSON-RPC endpoint: expected http://… or https://…",
            hint="set --rpc-url or rpc_url to one such as http://127.0.0.1:8545",
        )
    return url


def _match(calls: Sequence[tuple[str, Sequence[Any]]], bodies: list[Json], raw: bytes) -> list[Any | RpcError] | None:
    """Answers in the order of the calls, or None when the body is not a JSON-RPC answer to them."""
    try:
        parsed = json.loads(raw)
    except ValueError:
        return None
    by_id = {a.get("id"): a for a in (parsed if isinstance(parsed, list) else [parsed]) if isinstance(a, dict)}
    lone_fault = parsed if isinstance(parsed, dict) and "error" in parsed else None
    out: list[Any | RpcError] = []
    for (method, _), body in zip(calls, bodies, strict=True):
        answer = by_id.get(body["id"], lone_fault)
        if answer is None or ("result" not in answer and "error" not in answer):
            return None
        out.append(_error(method, answer["error"]) if answer.get("error") else answer.get("result"))
    return out


def _error(method: str, error: Any) -> RpcError:
    if not isinstance(error, dict):
        return RpcError(method, 0, str(error))
    data = error.get("data")
    if isinstance(data, dict):  # some endpoints nest it
        data = data.get("data") or data.get("result")
    is_hex = isinstance(data, str) and data.startswith("0x")
    try:
        revert = to_bytes(cast(str, data)) if is_hex else None
    except ValueError:
        revert = None
    return RpcError(method, int(error.get("code", 0)), str(error.get("message", "")), revert)
