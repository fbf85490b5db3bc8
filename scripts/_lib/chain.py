"""The chain as the scripts need it: plain JSON-RPC reads, and transactions whose hash is known before they leave.

Ape gives the connection and the signing account. Transactions are built, signed and recorded here, because an
interrupted deployment can only be resumed when the hash was on disk first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from eth_utils import keccak, to_checksum_address

from scripts._lib.abi import ErrorTable, Interface
from scripts._lib.errors import ScriptError

TX_GAS_CAP = 2**24  # EIP-7825
RECEIPT_TIMEOUT_S = 600.0
ZERO = "0x" + "00" * 20


class RpcError(ScriptError):
    """The node answered with an error. ``data`` is the revert data, if it sent any."""

    def __init__(self, method: str, message: str, data: bytes) -> None:
        super().__init__(f"{method}: {message}")
        self.data = data


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is kept of a mined transaction; ``address`` is the created contract, if any."""

    tx: str
    block: int
    status: int
    gas: int
    address: str | None


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction that has not left yet."""

    tx: str
    raw: str
    nonce: int


class Chain:
    """JSON-RPC through the provider that ape connected."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._request = provider.web3.provider.make_request
        self.url: str = provider.http_uri
        self.network: str = provider.network.name
        self.chain_id = int(self.rpc("eth_chainId"), 16)
        self.client: str = self.rpc("web3_clientVersion")
        self.started_here = getattr(provider, "process", None) is not None
        if provider.chain_id != self.chain_id:
            raise ScriptError(
                f"ape takes chain id {provider.chain_id} for this network, the node says {self.chain_id}",
                hint="for an anvil that runs: APE_FOUNDRY_HOST=<url> ape run … --network ethereum:local:foundry",
            )

    def rpc(self, method: str, *params: Any) -> Any:
        """One call. Raises RpcError with the revert data when the node sent it."""
        answer = self._request(method, list(params))
        if "error" not in answer:
            return answer.get("result")
        error = answer["error"]
        data = error.get("data") if isinstance(error, dict) else None
        if isinstance(data, dict):
            data = data.get("data")
        revert = bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""
        raise RpcError(method, error["message"] if isinstance(error, dict) else str(error), revert)

    def broadcast(self, raw: str) -> None:
        """Sends a signed transaction; one that the node knows already is fine."""
        try:
            self.rpc("eth_sendRawTransaction", raw)
        except RpcError as error:
            if "already known" not in error.message and "already imported" not in error.message:
                raise

    def height(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def block(self, number: int | str) -> dict[str, Any]:
        """A block's JSON header. Raises ScriptError when the node does not have it."""
        found: dict[str, Any] | None = self.rpc(
            "eth_getBlockByNumber", hex(number) if isinstance(number, int) else number, False
        )
        if found is None:
            raise ScriptError(f"the node has no block {number}", hint="wait until it is in sync")
        return found

    def code(self, address: str) -> bytes:
        return bytes.fromhex(self.rpc("eth_getCode", address, "latest")[2:])

    def code_hash(self, address: str) -> str:
        return "0x" + keccak(self.code(address)).hex()

    def nonce(self, address: str) -> int:
        return int(self.rpc("eth_getTransactionCount", address, "latest"), 16)

    def balance(self, address: str) -> int:
        return int(self.rpc("eth_getBalance", address, "latest"), 16)

    def call(self, to: str | None, data: bytes, sender: str | None = None, block: str = "latest") -> bytes:
        """eth_call; without ``to``, ``data`` runs as creation code and what it returns comes back."""
        request: dict[str, str] = {"data": "0x" + data.hex()}
        if to is not None:
            request["to"] = to
        if sender is not None:
            request["from"] = sender
        return bytes.fromhex(self.rpc("eth_call", request, block)[2:])

    def receipt(self, tx: str) -> Receipt | None:
        """The receipt, or None while the transaction is not mined."""
        found = self.rpc("eth_getTransactionReceipt", tx)
        if found is None:
            return None
        created = found.get("contractAddress")
        return Receipt(
            tx=tx,
            block=int(found["blockNumber"], 16),
            status=int(found["status"], 16),
            gas=int(found["gasUsed"], 16),
            address=to_checksum_address(created) if created else None,
        )

    def wait(self, tx: str) -> Receipt:
        """Waits until ``tx`` is mined. Raises ScriptError after ten minutes; running again resumes."""
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        pause = 0.02
        while (receipt := self.receipt(tx)) is None:
            if time.monotonic() > deadline:
                raise ScriptError(
                    f"transaction {tx} is not mined after {RECEIPT_TIMEOUT_S:.0f} s",
                    hint="run the same command again: it goes on from this transaction",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        return receipt

    def logs(self, address: str, topics: list[str], since: int) -> list[dict[str, Any]]:
        """Event logs of one contract from block ``since``, in steps a public endpoint accepts."""
        found: list[dict[str, Any]] = []
        top = self.height()
        for start in range(since, top + 1, 10_000):
            span = {"fromBlock": hex(start), "toBlock": hex(min(start + 9_999, top))}
            found += self.rpc("eth_getLogs", {"address": address, "topics": [topics], **span})
        return found


class Sender:
    """Signs with an ape account and sends; every revert is named before it costs anything."""

    def __init__(self, chain: Chain, account: Any, provider: Any, errors: ErrorTable) -> None:
        self.chain = chain
        self.address: str = account.address
        self._account = account
        self._create = provider.network.ecosystem.create_transaction
        self._errors = errors
        self._next_nonce: int | None = None

    def simulate(self, to: str | None, data: bytes) -> None:
        """Runs the call without sending it. Raises ScriptError that names the contract's error."""
        try:
            self.chain.call(to, data, self.address)
        except RpcError as error:
            raise self._explain(error) from error

    def sign(self, to: str | None, data: bytes) -> Signed:
        """Prepares and signs; nothing leaves. Raises ScriptError when it would revert or exceeds the gas cap."""
        request = {"from": self.address, "data": "0x" + data.hex()}
        if to is not None:
            request["to"] = to
        try:
            gas = int(self.chain.rpc("eth_estimateGas", request), 16)
        except RpcError as error:
            raise self._explain(error) from error
        if gas > TX_GAS_CAP:
            raise ScriptError(f"needs {gas} gas, over the cap of {TX_GAS_CAP} for one transaction")
        base = int(self.chain.block("latest").get("baseFeePerGas", "0x0"), 16)
        tip = min(self._tip(), 2 * 10**9)
        self._afford(gas, 2 * base + tip)
        nonce = self._nonce()
        fields: dict[str, Any] = {
            "sender": self.address,
            "data": data,
            "nonce": nonce,
            "gas": min(gas + gas // 5, TX_GAS_CAP),
            "max_fee": 2 * base + tip,
            "max_priority_fee": tip,
            "chainId": self.chain.chain_id,
            "type": 2,
        }
        if to is not None:
            fields["receiver"] = to
        signed = self._account.sign_transaction(self._create(**fields))
        if signed is None:
            raise ScriptError("the transaction was not signed; nothing was sent")
        raw = bytes(signed.serialize_transaction())
        return Signed(tx="0x" + keccak(raw).hex(), raw="0x" + raw.hex(), nonce=nonce)

    def send(self, signed: Signed) -> Receipt:
        """Sends and waits. Raises ScriptError when it was mined and failed."""
        try:
            self.chain.broadcast(signed.raw)
        except RpcError as error:
            raise self._explain(error) from error
        receipt = self.chain.wait(signed.tx)
        self._next_nonce = signed.nonce + 1
        if receipt.status != 1:
            raise ScriptError(f"transaction {signed.tx} was mined in block {receipt.block} and reverted")
        return receipt

    def transact(self, to: str, data: bytes) -> Receipt:
        """Signs, sends, waits."""
        return self.send(self.sign(to, data))

    def _explain(self, error: RpcError) -> ScriptError:
        reason = self._errors.describe(error.data) if error.data else error.message
        hint = None
        if reason.startswith("AccessManagedUnauthorized"):
            hint = "see who may with `ape run admin roles show`, and send from that account with --account"
        return ScriptError(f"would revert: {reason}", hint=hint)

    def _afford(self, gas: int, price: int) -> None:
        balance = self.chain.balance(self.address)
        if balance < gas * price:
            raise ScriptError(
                f"{self.address} holds {balance} wei, this transaction may cost {gas * price}",
                hint="fund the account and run the same command again",
            )

    def _tip(self) -> int:
        try:
            return int(self.chain.rpc("eth_maxPriorityFeePerGas"), 16)
        except RpcError:
            return 10**9

    def _nonce(self) -> int:
        """The account's next nonce; a node behind a balancer may lag behind what was just mined."""
        found = self.chain.nonce(self.address)
        return max(found, self._next_nonce or 0)


class Deployed:
    """A contract at its address."""

    def __init__(self, chain: Chain, address: str, interface: Interface) -> None:
        self.chain = chain
        self.address = to_checksum_address(address)
        self.interface = interface

    def read(self, name: str, *args: Any) -> Any:
        """Calls a view and decodes it."""
        return self.interface.decode(name, self.chain.call(self.address, self.interface.encode(name, *args)))
