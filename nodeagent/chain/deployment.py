"""Where the contracts are: ``deployments/<chain-id>.json``, checked before anything is signed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodeagent.chain.errors import BadDeployment, RpcError, WrongChain
from nodeagent.chain.rpc import Rpc, to_bytes
from nodeagent.protocol.keccak import keccak


class _Contract(BaseModel):
    model_config = ConfigDict(extra="ignore")
    address: str = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    block: int = Field(0, ge=0)
    tx: str | None = None
    codeHash: str | None = None


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore")
    chainId: int = Field(gt=0)
    network: str = ""
    startBlock: int = Field(0, ge=0)
    contracts: dict[str, _Contract]
    parameters: dict[str, int] = {}
    pools: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses as checksummed hex. ``parameters`` are the constructor constants by name."""

    chain_id: int
    network: str
    start_block: int
    registry: str
    ledger: str
    market: str
    stake_token: str
    payment_token: str
    parameters: dict[str, int] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)
    code_hashes: dict[str, str] = field(default_factory=dict)  # address → keccak of the code
    court: str | None = None  # without one no job can be appealed

    @property
    def epoch_blocks(self) -> int:
        return self.parameters["EPOCH_BLOCKS"]

    @property
    def ring(self) -> int:
        return self.parameters["RING"]

    @property
    def lead(self) -> int:
        return self.parameters["LEAD"]

    @property
    def reveal_grace(self) -> int:
        return self.parameters["REVEAL_GRACE"]

    @property
    def settle_grace(self) -> int:
        return self.parameters["SETTLE_GRACE"]

    @property
    def report_epochs(self) -> int:
        return self.parameters["REPORT_EPOCHS"]

    @property
    def settle_fee_bps(self) -> int:
        return self.parameters["SETTLE_FEE_BPS"]

    @property
    def addresses(self) -> list[str]:
        """Every contract whose events matter, for one ``eth_getLogs``."""
        return [self.registry, self.ledger, self.market, *([self.court] if self.court else [])]

    def pool_id(self, pool: str | int) -> int:
        """The number of a pool named in the record. Raises BadDeployment."""
        if isinstance(pool, int) or pool.isdigit():
            return int(pool)
        if pool not in self.pools:
            known = ", ".join(sorted(self.pools)) or "none"
            raise BadDeployment(f"no pool is called {pool!r}; the record names {known}", hint="pass a number instead")
        return self.pools[pool]


_NAMES = {
    "registry": "NodeRegistry",
    "ledger": "CommitLedger",
    "market": "JobMarket",
    "stake_token": "QuorateToken",
    "payment_token": "PaymentToken",
}
_COURT = "Court"
_CONSTANTS = {
    "registry": ("EPOCH_BLOCKS", "RING", "LEAD", "UNBONDING"),
    "ledger": ("REVEAL_GRACE", "UNREVEALED_BPS"),
    "market": ("SETTLE_GRACE", "REPORT_EPOCHS", "SETTLE_FEE_BPS", "ABSENT_BPS"),
    "court": ("JUDGES", "WRONG_BPS"),
}


def load_deployment(path: Path | str) -> Deployment:
    """Reads a record. Raises BadDeployment with the field that is wrong."""
    try:
        record = _Record.model_validate_json(Path(path).read_text("utf-8"))
    except OSError as fault:
        raise BadDeployment(
            f"cannot read the deployment record {path}: {fault.strerror}", hint="pass --deployment with its path"
        ) from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadDeployment(f"deployment record {path}: {where}: {first['msg']}") from fault
    missing = [name for name in _NAMES.values() if name not in record.contracts]
    if missing:
        raise BadDeployment(f"deployment record {path} does not name {', '.join(missing)}")
    return Deployment(
        chain_id=record.chainId,
        network=record.network,
        start_block=record.startBlock,
        parameters=record.parameters,
        pools=record.pools,
        code_hashes={c.address: c.codeHash for c in record.contracts.values() if c.codeHash},
        court=checksum(record.contracts[_COURT].address) if _COURT in record.contracts else None,
        **{key: checksum(record.contracts[name].address) for key, name in _NAMES.items()},
    )


def checksum(address: str) -> str:
    """EIP-55 form."""
    lower = address.lower().removeprefix("0x")
    digest = keccak(lower.encode()).hex()
    return "0x" + "".join(c.upper() if int(d, 16) > 7 else c for c, d in zip(lower, digest, strict=False))


def verify_deployment(rpc: Rpc, deployment: Deployment) -> Deployment:
    """Checks chain id and code hashes and reads the constants from the chain itself.

    Returns the record with the chain's parameters. Raises WrongChain or BadDeployment.
    """
    chain_id = rpc.chain_id()
    if chain_id != deployment.chain_id:
        raise WrongChain(
            f"{rpc.url} serves chain {chain_id}, the deployment record is for {deployment.chain_id}",
            hint="set rpc_url or the deployment path to match",
        )
    for address in deployment.addresses:
        code = rpc.code(address)
        if not code:
            raise BadDeployment(f"no contract is at {address} on chain {chain_id}", hint="deploy, or fix the record")
        expected = {a.lower(): h for a, h in deployment.code_hashes.items()}.get(address.lower())
        if expected and keccak(code) != to_bytes(expected):
            raise BadDeployment(f"the code at {address} hashes to 0x{keccak(code).hex()}, the record says {expected}")
    found = dict(deployment.parameters)
    places = {who: getattr(deployment, who) for who in _CONSTANTS}
    calls = [(at, name) for who, at in places.items() if at for name in _CONSTANTS[who]]
    requests = [{"to": to, "data": "0x" + keccak(f"{name}()".encode())[:4].hex()} for to, name in calls]
    answers = rpc.batch([("eth_call", [request, "latest"]) for request in requests])
    for (to, name), answer in zip(calls, answers, strict=True):
        if isinstance(answer, RpcError) or len(answer) < 3:
            raise BadDeployment(f"{to} does not answer {name}()", hint="the record points at other contracts")
        value = int(answer, 16)
        if name in deployment.parameters and deployment.parameters[name] != value:
            raise BadDeployment(f"{name} is {value} on chain and {deployment.parameters[name]} in the record")
        found[name] = value
    _check_court(rpc, deployment)
    return Deployment(**{**{f: getattr(deployment, f) for f in deployment.__dataclass_fields__}, "parameters": found})


def _check_court(rpc: Rpc, deployment: Deployment) -> None:
    """The market answers to the recorded court, or to none. Raises BadDeployment."""
    request = {"to": deployment.market, "data": "0x" + keccak(b"court()")[:4].hex()}
    answer = rpc.batch([("eth_call", [request, "latest"])])[0]
    wired = 0 if isinstance(answer, RpcError) or len(answer) < 3 else int(answer, 16)
    if wired != int(deployment.court or "0x0", 16):
        raise BadDeployment(
            f"the market's court is {wired:#042x} and the record's is {deployment.court or 'none'}",
            hint="the record is of another deployment, or of an older version: run the deploy script again",
        )


def dump(deployment: Deployment) -> str:
    """A one-line JSON summary for logs and ``--json``."""
    keys = ("chain_id", "registry", "ledger", "market", "court", "stake_token", "payment_token")
    return json.dumps({key: getattr(deployment, key) for key in keys})
