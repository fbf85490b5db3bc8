"""A chain in memory behind the ``RpcLike`` seam: blocks, logs, a mempool, forks. It answers like an endpoint would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from nodeagent.chain.errors import RpcError, RpcUnreachable
from nodeagent.protocol.keccak import keccak

ADDRESS = "0x" + "11" * 20


class FakeChain:
    """``mine`` appends a block with the mempool's transactions; ``fork`` drops blocks above one and forgets them."""

    def __init__(self) -> None:
        self.blocks: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.receipts: dict[str, dict[str, Any]] = {}
        self.mempool: dict[str, bytes] = {}
        self.pushed: list[str] = []
        self.gas_estimate: int | RpcError = 50_000
        self.fail_status: set[int] = set()  # nonces whose transaction fails when mined
        self.max_range = 10**9
        self.down = False
        self.on_push: Callable[[bytes], None] = lambda raw: None
        self.before: Callable[[str], None] = lambda method: None
        self._salt = 0
        self.mine()

    # --- the chain ----------------------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    def mine(self, *logs: tuple[list[bytes], bytes], take: bool = True) -> int:
        number = len(self.blocks)
        parent = self.blocks[-1]["hash"] if self.blocks else "0x" + "00" * 32
        digest = keccak(f"{number}:{self._salt}:{parent}".encode())
        block = {
            "number": hex(number),
            "hash": "0x" + digest.hex(),
            "parentHash": parent,
            "timestamp": hex(1_000 + number),
            "baseFeePerGas": hex(7),
        }
        self.blocks.append(block)
        for index, (topics, data) in enumerate(logs):
            self.logs.append(
                {
                    "address": ADDRESS,
                    "blockNumber": hex(number),
                    "blockHash": block["hash"],
                    "logIndex": hex(index),
                    "transactionHash": "0x" + keccak(f"{number}:{index}:{self._salt}".encode()).hex(),
                    "topics": ["0x" + t.hex() for t in topics],
                    "data": "0x" + data.hex(),
                }
            )
        if take:
            self._take(block)
        return number

    def _take(self, block: dict[str, Any]) -> None:
        for tx, raw in sorted(self.mempool.items(), key=lambda item: -fees_of(item[1])):
            fields = decode(raw)
            if fields["nonce"] != self.nonce():
                continue
            ok = fields["nonce"] not in self.fail_status
            self.receipts[tx] = {
                "transactionHash": tx,
                "blockNumber": block["number"],
                "blockHash": block["hash"],
                "gasUsed": hex(21_000),
                "status": hex(int(ok)),
                "logs": [],
            }
        self.mempool = {t: r for t, r in self.mempool.items() if decode(r)["nonce"] >= self.nonce()}

    def fork(self, keep: int, *, forget_pool: bool = True) -> None:
        """Drops every block above ``keep``; their transactions are forgotten too."""
        self._salt += 1
        self.blocks = self.blocks[: keep + 1]
        self.logs = [log for log in self.logs if int(log["blockNumber"], 16) <= keep]
        self.receipts = {t: r for t, r in self.receipts.items() if int(r["blockNumber"], 16) <= keep}
        if forget_pool:
            self.mempool.clear()

    def nonce(self, block: int | None = None) -> int:
        top = self.head if block is None else block
        return sum(int(r["blockNumber"], 16) <= top for r in self.receipts.values())

    # --- RpcLike ------------------------------------------------------------------------------------------------

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        answer = self.batch([(method, params)])[0]
        if isinstance(answer, RpcError):
            raise answer
        return answer

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        if self.down:
            raise RpcUnreachable("the fake chain is down")
        out = []
        for method, params in calls:
            self.before(method)
            out.append(getattr(self, f"_{method}")(*params))
        return out

    def _eth_getBlockByNumber(self, which: str, _full: bool) -> Any:
        number = self.head if which == "latest" else int(which, 16)
        return self.blocks[number] if number <= self.head else None

    def _eth_getLogs(self, query: dict[str, Any]) -> Any:
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if last - first + 1 > self.max_range:
            return RpcError("eth_getLogs", -32005, "query returned more than 10000 results")
        return [log for log in self.logs if first <= int(log["blockNumber"], 16) <= last]

    def _eth_getTransactionCount(self, _address: str, block: str) -> str:
        return hex(self.nonce(None if block == "latest" else int(block, 16)))

    def _eth_getTransactionReceipt(self, tx: str) -> Any:
        return self.receipts.get(tx)

    def _eth_estimateGas(self, _request: Any) -> Any:
        return hex(self.gas_estimate) if isinstance(self.gas_estimate, int) else self.gas_estimate

    def _eth_call(self, _request: Any, _block: str) -> Any:
        return "0x" if isinstance(self.gas_estimate, int) else self.gas_estimate

    def _eth_sendRawTransaction(self, raw_hex: str) -> Any:
        raw = bytes.fromhex(raw_hex[2:])
        self.on_push(raw)
        tx = "0x" + keccak(raw).hex()
        self.pushed.append(tx)
        if tx in self.mempool:
            return RpcError("eth_sendRawTransaction", -32000, "already known")
        if decode(raw)["nonce"] < self.nonce():
            return RpcError("eth_sendRawTransaction", -32000, "nonce too low")
        self.mempool[tx] = raw
        return tx


def decode(raw: bytes) -> dict[str, Any]:
    """Fields of a signed EIP-1559 transaction."""
    return dict(TypedTransaction.from_bytes(HexBytes(raw)).as_dict())


def fees_of(raw: bytes) -> int:
    return int(decode(raw)["maxFeePerGas"])


def account() -> Any:
    """A fixed signer."""
    return Account.from_key("0x" + "42" * 32)
