"""The deployment itself: contracts → wiring → pools → fee → roles → read back. Each step first looks, then acts.

Running it again repeats only what is missing. A creation is written down, signed, before it is sent; whatever
interrupts it, the next run finds out what became of exactly that transaction and never deploys twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eth_utils import keccak, to_checksum_address

from scripts._lib.abi import Interface
from scripts._lib.artifacts import Artifact
from scripts._lib.chain import ZERO, Chain, Deployed, Receipt, Sender
from scripts._lib.errors import ScriptError
from scripts._lib.params import Params, constructor_args
from scripts._lib.readback import pool_terms, read_payment_token
from scripts._lib.record import Entry, Pending, Record, Store
from scripts._lib.roles import ROLES, holders, wanted_function_roles

ORDER = ("AccessManager", "QuorateToken", "PaymentToken", "NodeRegistry", "CommitLedger", "Court", "JobMarket")


class Deployment:
    """One run. ``actions`` lists what was changed on chain, in words; empty when nothing was."""

    def __init__(
        self,
        chain: Chain,
        sender: Sender | None,
        params: Params,
        artifacts: Mapping[str, Artifact],
        store: Store,
        say: Callable[[str], None],
    ) -> None:
        self.chain = chain
        self._sender = sender
        self.params = params
        self.artifacts = artifacts
        self.store = store
        self.say = say
        self.actions: list[str] = []
        self.gas = 0
        self.record = store.load() or self._new_record()

    def run(self) -> Record:
        """Does everything that is missing. Raises ScriptError; what was done until then is recorded.

        A complete deployment is left alone: what an administrator changed since is his.
        """
        if self.record.complete:
            return self.record
        for name in ORDER:
            if name != "Court" or self.params.court:
                self._contract(name)
        self._wire()
        self._pools()
        self._fee()
        self._roles()
        return self.record

    def contracts(self) -> dict[str, Deployed]:
        """Every recorded contract with its interface."""
        return {name: self._at(name) for name in self.record.contracts}

    # --- contracts ---------------------------------------------------------------------------------------------------

    def _contract(self, name: str) -> None:
        if name in self.record.contracts:
            return
        if name == "PaymentToken" and self.params.payment is not None:
            self._adopt_payment_token()
            return
        artifact = self.artifacts["TestStablecoin" if name == "PaymentToken" else name]
        receipt = self._recover(name) or self._create(name, artifact)
        if receipt.address is None:
            raise ScriptError(f"{name}: transaction {receipt.tx} created no contract")
        code = self.chain.code(receipt.address)
        if not artifact.matches(code):
            raise ScriptError(
                f"{name} at {receipt.address} does not carry the compiled code",
                hint="do not use this deployment; check that the node executes transactions correctly",
            )
        entry = Entry(receipt.address, receipt.block, receipt.tx, "0x" + keccak(code).hex())
        if not self.record.contracts:
            self.record.startBlock = receipt.block
        self.record.contracts[name] = entry
        self.record.pending = None
        self.store.save(self.record)
        self._did(f"deployed {name} at {entry.address}", receipt)

    def _create(self, name: str, artifact: Artifact) -> Receipt:
        interface = Interface(name, artifact.abi)
        args = interface.encode_constructor(constructor_args(interface, self._values(artifact.name)))
        signed = self.sender.sign(None, artifact.creation + args)
        self.record.pending = Pending(name, signed.tx, signed.nonce, signed.raw)
        self.store.save(self.record)
        return self.sender.send(signed)

    def _recover(self, name: str) -> Receipt | None:
        """What became of the creation that an earlier run left pending; None when it can never be mined."""
        pending = self.record.pending
        if pending is None or pending.name != name:
            return None
        receipt = self.chain.receipt(pending.tx)
        if receipt is None and self.chain.nonce(self.record.deployer) <= pending.nonce:
            self.say(f"  {name}: sending again what was signed before ({pending.tx})")
            self.chain.broadcast(pending.raw)
            receipt = self.chain.wait(pending.tx)
        if receipt is None or receipt.status != 1:
            self.record.pending = None
            self.store.save(self.record)
            return None
        self.say(f"  {name}: found what an interrupted run deployed ({receipt.address})")
        return receipt

    def _adopt_payment_token(self) -> None:
        wanted = self.params.payment
        if wanted is None:
            raise ScriptError("there is no payment token in the parameters")
        read_payment_token(self.chain, wanted)
        self.record.contracts["PaymentToken"] = Entry(
            wanted.address, self.chain.height(), None, self.chain.code_hash(wanted.address)
        )
        self.store.save(self.record)
        self.say(f"  PaymentToken is {wanted.symbol} at {wanted.address}")

    def _values(self, artifact_name: str) -> dict[str, Any]:
        """Constructor arguments of a contract: the file's and those that the deployment knows."""
        at = {name: entry.address for name, entry in self.record.contracts.items()}
        wired = {
            "admin": self.sender.address,
            "authority": at.get("AccessManager"),
            "stakeToken": at.get("QuorateToken"),
            "registry": at.get("NodeRegistry"),
            "ledger": at.get("CommitLedger"),
            "paymentToken": at.get("PaymentToken"),
            "court": at.get("Court", ZERO),
        }
        return {**wired, **self.params.constructor.get(artifact_name, {})}

    # --- wiring, pools, fee, roles -----------------------------------------------------------------------------------

    def _wire(self) -> None:
        registry, at = self._at("NodeRegistry"), self.record.contracts
        if registry.read("ledger") != to_checksum_address(ZERO):
            return
        court, told = (at["Court"].address, "to Court") if "Court" in at else (ZERO, "without a court")
        self._send(
            f"wired NodeRegistry to CommitLedger and JobMarket, {told}",
            registry,
            "wire",
            at["CommitLedger"].address,
            at["JobMarket"].address,
            court,
        )

    def _pools(self) -> None:
        registry = self._at("NodeRegistry")
        for pool in self.params.pools:
            if pool_terms(registry, pool.id) is None:
                terms = tuple(pool.terms.values())
                self._send(f"created pool {pool.name} ({pool.id})", registry, "createPool", pool.id, terms)
            self.record.pools[pool.name] = pool.id
            self.store.save(self.record)

    def _fee(self) -> None:
        market, bps, recipient = self._at("JobMarket"), self.params.fee_bps, self.params.fee_recipient
        if market.read("protocolFeeBps") != bps:
            self._send(f"set the protocol fee to {bps} bps for {recipient}", market, "setProtocolFee", bps, recipient)

    def _roles(self) -> None:
        """All missing roles in one transaction: labels, functions, holders."""
        authority, contracts = self._at("AccessManager"), self.contracts()
        have = holders(self.chain, authority, self.record.startBlock)
        calls: list[bytes] = []
        said: list[str] = []
        for name, spec in ROLES.items():
            missing = [a for a in self.params.roles[name].holders if a not in have[name]]
            if not have[name]:
                calls.append(authority.interface.encode("labelRole", spec.id, name))
            for account in missing:
                delay = self.params.roles[name].delay
                calls.append(authority.interface.encode("grantRole", spec.id, account, delay))
                said.append(f"{name} to {account}")
        calls += self._function_calls(authority, contracts)
        if calls:
            self._send(f"set the roles: {', '.join(said)}", authority, "multicall", calls)

    def _function_calls(self, authority: Deployed, contracts: Mapping[str, Deployed]) -> list[bytes]:
        calls = []
        for full, role in wanted_function_roles().items():
            contract, function = full.split(".")
            target = contracts[contract]
            selector = target.interface.selector(function)
            if authority.read("getTargetFunctionRole", target.address, selector) != role:
                calls.append(authority.interface.encode("setTargetFunctionRole", target.address, [selector], role))
        return calls

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def sender(self) -> Sender:
        if self._sender is None:
            raise ScriptError("this step sends a transaction and no account was given", hint="--account <alias>")
        return self._sender

    def _at(self, name: str) -> Deployed:
        artifact = self.artifacts["TestStablecoin" if name == "PaymentToken" else name]
        return Deployed(self.chain, self.record.contracts[name].address, Interface(name, artifact.abi))

    def _send(self, said: str, target: Deployed, function: str, *args: Any) -> None:
        receipt = self.sender.transact(target.address, target.interface.encode(function, *args))
        self._did(said, receipt)

    def _did(self, said: str, receipt: Receipt) -> None:
        self.actions.append(said)
        self.gas += receipt.gas
        self.say(f"  {said}")

    def _new_record(self) -> Record:
        return Record(
            chainId=self.chain.chain_id,
            network=self.chain.network,
            genesis=self.chain.block(0)["hash"],
            startBlock=self.chain.height(),
            deployer=self.sender.address,
        )
