"""A node's configuration: one TOML file in its home, read once and passed down. No secret is ever in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nodeagent.content.backends import ORDER, Backend
from nodeagent.errors import Fatal
from nodeagent.protocol.documents import Address, Cid

FILE = "config.toml"
HOME_VARIABLE = "NODEAGENT_HOME"
GWEI = 10**9


def _hours(text: str) -> str:
    from nodeagent.worker.admission import Span

    Span.parse(text)
    return text


Hours = Annotated[str, AfterValidator(_hours)]


def _share(kib: int) -> int:
    if 0 < kib < 64:
        raise ValueError("0, or at least 64: less looks like a source that stalls")
    return kib


Share = Annotated[int, Field(ge=0), AfterValidator(_share)]


def _gateway(url: str) -> str:
    from nodeagent.content.errors import SourceUnreachable
    from nodeagent.content.transport import base_url

    try:
        return base_url(url)
    except SourceUnreachable as fault:
        raise ValueError(fault.reason) from None


GatewayUrl = Annotated[str, AfterValidator(_gateway)]


class BadConfig(Fatal):
    """The configuration is missing, unreadable or wrong; the message names the field."""


class NodeConfig(BaseModel):
    """What an operator chooses. Paths may be relative to the home. Amounts are whole units of the payment token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rpc_url: str = Field("http://127.0.0.1:8545", description="JSON-RPC endpoint")
    deployment: str = Field(description="path of the deployment record")
    pool: str = Field("cpu", description="pool by its name in the deployment record, or by its number")
    gateway_host: str = Field("127.0.0.1", description="address the content gateway listens on")
    gateway_port: Annotated[int, Field(ge=0, le=65535)] = 0
    public_url: str | None = Field(None, description="where others reach the gateway; default: where it listens")
    kubo_api: str | None = Field(None, description="multiaddr of a Kubo daemon to store into as well")
    poll_seconds: Annotated[float, Field(ge=0, le=600)] = 0.0  # 0: a quarter of the block time seen
    min_unit_price: Annotated[int, Field(ge=0)] = 0
    allow_requesters: tuple[Address, ...] = Field((), description="whose jobs may run; empty: everybody's")
    deny_requesters: tuple[Address, ...] = ()
    allow_models: tuple[Cid, ...] = Field((), description="models that may run, by CID; empty: all")
    deny_models: tuple[Cid, ...] = ()
    allow_runtimes: tuple[str, ...] = Field((), description="runtimes that may run; empty: all that are installed")
    work_hours: tuple[Hours, ...] = Field((), description="local times such as 22:00-07:30; empty: always")
    mains_only: bool = Field(False, description="no work on battery")
    idle_below: Annotated[
        float | None, Field(gt=0, le=100, description="no work while others use more of the processor, per cent")
    ] = None
    gateways: tuple[GatewayUrl, ...] = Field((), description="trustless gateways to ask for payloads")
    content_order: tuple[Backend, ...] = Field(
        ORDER, min_length=1, description="who is asked for payloads that are not here, in order: kubo, peers, gateways"
    )
    content_max_bytes: Annotated[
        int, Field(ge=0, description="disk that payloads and results may take; what no job needs any more makes room")
    ] = 20 << 30
    upload_kib_s: Share = 0  # what others may fetch from here together; 0: no limit
    download_kib_s: Share = 0
    niceness: Annotated[int, Field(ge=0, le=19, description="of strangers' work: 19 gives way to everything")] = 5
    max_fee_gwei: Annotated[float, Field(gt=0)] = 200.0
    tip_gwei: Annotated[float, Field(ge=0)] = 0.1
    settle: bool = True
    settle_stagger_blocks: Annotated[int, Field(ge=1, le=100)] = 2
    report_faults: bool = False  # report every node's faults where the reward is the sender's
    report_stake_price: Annotated[float, Field(ge=0, description="ether that one whole stake token is worth")] = 0.001
    report_public: bool = False  # report wrong answers at once, while the reward is the accuser's, whatever the gas
    appeal: Literal["auto", "off"] = "auto"  # as far as the operator's allowance to the Court reaches
    appeal_max_bond: Annotated[int, Field(ge=0)] = 0  # of one appeal; 0: only the allowance limits it
    appeal_max_cost: Annotated[
        int, Field(ge=0, description="what an appeal may cost on average, for a right result")
    ] = 0
    appeal_confidence: Annotated[float, Field(gt=0, le=1, description="chance that an answer which stands wins")] = 0.95
    appeal_stake_price: Annotated[float, Field(ge=0, description="payment tokens that one stake token is worth")] = 1.0
    appeal_max_lost: Annotated[int, Field(ge=0, description="most open or lost of late, by the whole operator")] = 1
    auto_resume: bool = True
    withdraw_above: Annotated[int, Field(ge=0)] = 1_000_000
    cores: Annotated[int, Field(ge=1, le=256)] = 1
    reveal_depth_blocks: Annotated[int, Field(ge=0, le=64)] = 2
    commit_margin_blocks: Annotated[int, Field(ge=1, le=64)] = 2
    commit_margin_seconds: Annotated[float, Field(ge=0, le=600)] = 0.5
    reorg_depth_blocks: Annotated[int, Field(ge=1, le=256)] = 64
    runtimes: str = Field("runtimes", description="folder of the installed runtimes")
    executor_argv: tuple[str, ...] = Field((), description="command line that replaces the executor's own")
    jail: Literal["auto", "bubblewrap", "landlock"] = "auto"  # around strangers' models; auto: the best there is
    task_seconds: Annotated[float, Field(gt=0)] = 120.0
    payload_max_bytes: Annotated[
        int, Field(ge=0, description="disk that models may take together; the least recently used make room")
    ] = 20 << 30
    payload_min_free_bytes: Annotated[int, Field(ge=0, description="disk that no payload may touch")] = 1 << 30
    memory_mib: Annotated[int, Field(ge=256)] = 6144


class Home:
    """The folder of one node and what is where in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()

    @property
    def config(self) -> Path:
        return self.path / FILE

    @property
    def key(self) -> Path:
        """The hot key's keystore."""
        return self.path / "keys" / "node.json"

    @property
    def operator(self) -> Path:
        """The operator's keystore, where it is kept here at all."""
        return self.path / "keys" / "operator.json"

    @property
    def password(self) -> Path:
        """Written by ``init`` only when no other password was given."""
        return self.path / "keys" / "password"

    @property
    def database(self) -> Path:
        return self.path / "agent.db"

    @property
    def pending(self) -> Path:
        """Results files before their reveal; never served."""
        return self.path / "pending"

    @property
    def live(self) -> Path:
        """What the running agent last said of itself."""
        return self.path / "live.json"

    @property
    def lock(self) -> Path:
        return self.path / "agent.lock"

    def resolve(self, path: str) -> Path:
        """A configured path; relative ones are below the home."""
        return self.path / Path(path).expanduser()


def default_home() -> Path:
    """``NODEAGENT_HOME``, else the platform's data folder."""
    told = os.environ.get(HOME_VARIABLE)
    if told:
        return Path(told)
    from platformdirs import user_data_path

    return user_data_path("quorate", appauthor=False) / "node"


def load_config(home: Home) -> NodeConfig:
    """Raises BadConfig."""
    import tomllib

    try:
        values = tomllib.loads(home.config.read_text("utf-8"))
    except FileNotFoundError:
        raise BadConfig(f"there is no node in {home.path}", hint="make one with: nodeagent init") from None
    except (OSError, ValueError) as fault:
        raise BadConfig(f"{home.config} cannot be read: {fault}", hint="correct it, or run nodeagent init") from None
    return parse_config(values, str(home.config))


def parse_config(values: dict[str, Any], where: str) -> NodeConfig:
    """Raises BadConfig with the first field at fault."""
    try:
        return NodeConfig.model_validate(values)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadConfig(f"{where}: {field}: {first['msg']}", hint="nodeagent init --help lists the settings") from None


def save_config(home: Home, config: NodeConfig) -> None:
    """Writes the file whole or not at all; settings left to their default are left out."""
    import tomli_w

    values = config.model_dump(exclude_defaults=True, exclude_none=True)
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = home.config.with_suffix(".new")
    part.write_text(tomli_w.dumps({k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}))
    os.replace(part, home.config)
