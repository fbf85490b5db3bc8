"""nodeagent's command line without a chain: what it makes, what it refuses, what it never writes down."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nodeagent.cli.common import whole
from nodeagent.cli.node import COMMANDS, main
from nodeagent.config import BadConfig, Home, NodeConfig, load_config
from nodeagent.keys import create_keystore, keystore_address, open_keystore

KEY = b"\x42" * 32
ADDRESS = "0x17c5185167401eD00cF5F5b2fc97D9BBfDb7D025"


def run(*args: str) -> int:
    """Exit code of a command line in this process."""
    with pytest.raises(SystemExit) as ended:
        main(list(args))
    return int(ended.value.code or 0)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    names = ("QuorateToken", "PaymentToken", "AccessManager", "NodeRegistry", "CommitLedger", "JobMarket")
    contracts = {name: {"address": f"0x{i + 1:040x}"} for i, name in enumerate(names)}
    path = tmp_path / "31337.json"
    path.write_text(json.dumps({"chainId": 31337, "contracts": contracts, "pools": {"cpu": 1}}))
    return path


@pytest.fixture
def runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    """``init`` without npm: the installation itself has tests of its own."""
    monkeypatch.setattr("nodeagent.runtimes.install.install", lambda dest, **_: dest / "onnx-canonical")


# --- help -------------------------------------------------------------------------------------------------------------


def test_help__nothing_heavy_imported() -> None:
    code = (
        "import sys\nfrom nodeagent.cli.node import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as ended:\n    assert ended.code == 0\n"
        "heavy = {'web3', 'eth_account', 'eth_abi', 'onnx', 'numpy', 'pydantic', 'urllib3', 'sqlite3', 'ape'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    "words",
    [[name] for name in COMMANDS] + [["seats", "take"], ["seats", "leave"], ["key", "rotate"], ["appeals", "allow"]],
)
def test_help__every_command__has_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words, "--help") == 0
    assert "Usage:" in capsys.readouterr().out


# --- init -------------------------------------------------------------------------------------------------------------


def init(home: Path, record: Path, *more: str) -> int:
    return run("--home", str(home), "init", "--yes", "--deployment", str(record), "--kdf", "light", "--json", *more)


@pytest.mark.usefixtures("runtimes")
def test_init__yes__keys_encrypted_and_private(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "node", record) == 0
    told = json.loads(capsys.readouterr().out)
    home = Home(tmp_path / "node")
    password = home.password.read_text()
    for path, address in ((home.key, told["key"]), (home.operator, told["operator"])):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and keystore_address(path) == address
        account = open_keystore(path, password)
        assert account.address == address
        for file in home.path.rglob("*"):
            if file.is_file():
                assert account.key.hex().removeprefix("0x") not in file.read_text().lower(), f"{file} holds a plain key"
    config = tomllib.loads(home.config.read_text())
    assert config == {"deployment": str(record)} and "password" not in home.config.read_text()
    assert stat.S_IMODE(home.password.stat().st_mode) == 0o600


@pytest.mark.usefixtures("runtimes")
def test_init__twice__keys_stay_and_settings_change(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "node", record, "--set", "cores=2") == 0
    first = json.loads(capsys.readouterr().out)
    assert init(tmp_path / "node", record, "--pool", "7", "--gateway-port", "4001") == 0
    assert json.loads(capsys.readouterr().out)["key"] == first["key"]
    config = load_config(Home(tmp_path / "node"))
    assert (config.cores, config.pool, config.gateway_port) == (2, "7", 4001)


@pytest.mark.usefixtures("runtimes")
def test_init__own_keystores_and_password_file__taken(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pw").write_text("secret\n")
    create_keystore(tmp_path / "key.json", "secret", cost="light", key=KEY)
    code = init(
        tmp_path / "node", record, "--password-file", str(tmp_path / "pw"), "--key-file", str(tmp_path / "key.json"),
        "--no-operator",
    )  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert code == 0 and told["key"] == ADDRESS and told["operator"] is None
    assert not Home(tmp_path / "node").password.exists()


@pytest.mark.usefixtures("runtimes")
def test_init__another_key_is_there__never_overwritten(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pw").write_text("secret")
    more = ("--password-file", str(tmp_path / "pw"))
    assert init(tmp_path / "node", record, *more) == 0
    before = Home(tmp_path / "node").key.read_text()
    create_keystore(tmp_path / "key.json", "secret", cost="light", key=KEY)
    assert init(tmp_path / "node", record, *more, "--key-file", str(tmp_path / "key.json")) == 1
    assert "already holds another key" in capsys.readouterr().err
    assert Home(tmp_path / "node").key.read_text() == before


@pytest.mark.usefixtures("runtimes")
@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("appeal=maybe", "appeal"),
        ("appeal_confidence=1.1", "appeal_confidence"),
        ("report_stake_price=-1", "report_stake_price"),
        ("cores=0", "cores"),
        ("nonsense=1", "nonsense"),
        ("gateway_port=99999", "gateway_port"),
        ("cores", "NAME=VALUE"),
    ],
)
def test_init__bad_setting__named_and_nothing_written(
    tmp_path: Path, record: Path, setting: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "node", record, "--set", setting) in (1, 2)
    assert told in capsys.readouterr().err and not (tmp_path / "node").exists()


# --- without a home or a chain ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["status"], ["run"], ["seats", "show"], ["withdraw"], ["appeals"], ["appeals", "allow", "5"]]
)
def test_command__no_home__says_init(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--home", str(tmp_path / "none"), *words) == 1
    said = capsys.readouterr().err
    assert "there is no node in" in said and "nodeagent init" in said


@pytest.mark.usefixtures("runtimes")
def test_status__chain_away__still_tells_what_it_knows(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nodeagent.chain.errors import RpcUnreachable

    def away(*_: Any) -> None:
        raise RpcUnreachable("nobody answers")

    monkeypatch.setattr("nodeagent.worker.status.open_chain", away)
    init(tmp_path / "node", record)
    key = json.loads(capsys.readouterr().out)["key"]
    assert run("--home", str(tmp_path / "node"), "status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["key"] == key and told["running"] is False and told["inferences"] == 0
    assert told["problems"] == {"chain": "nobody answers", "agent": "the agent is not running: nodeagent run"}


@pytest.mark.usefixtures("runtimes")
@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("work_hours=22:00-07:30, 12:00-13:00", "work_hours", ("22:00-07:30", "12:00-13:00")),
        (f"deny_requesters=0x{'1' * 40}", "deny_requesters", ("0x" + "1" * 40,)),
        ("allow_models=", "allow_models", ()),
        ("mains_only=true", "mains_only", True),
        ("idle_below=20", "idle_below", 20.0),
    ],
)
def test_init__any_setting__lists_by_commas(
    tmp_path: Path, record: Path, setting: str, name: str, value: object
) -> None:
    init(tmp_path / "node", record, "--set", setting)
    assert getattr(load_config(Home(tmp_path / "node")), name) == value


@pytest.mark.usefixtures("runtimes")
@pytest.mark.parametrize(
    ("words", "told"),
    [((), (False, False)), (("--report",), (True, False)), (("--unsafe-no-jail",), (False, True))],
)
def test_run__report_or_no_jail__for_this_run_only(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: tuple[bool, bool]
) -> None:
    seen: list[tuple[bool, bool]] = []

    def opened(_home: Home, config: NodeConfig, _account: Any, *, unsafe_no_jail: bool) -> None:
        seen.append((config.report_faults, unsafe_no_jail))
        raise BadConfig("far enough")

    monkeypatch.setattr("nodeagent.worker.start.open_agent", opened)
    monkeypatch.setattr("nodeagent.cli.node_run._wait_for_chain", lambda *_: None)
    init(tmp_path / "node", record)
    assert run("--home", str(tmp_path / "node"), "run", *words) == 1
    assert seen == [told]
    assert not load_config(Home(tmp_path / "node")).report_faults


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [(0, 6, "0"), (1, 6, "0.000001"), (1_500_000, 6, "1.5"), (7, 0, "7"), (-5, 1, "-0.5")],
)
def test_whole__amounts__as_a_person_reads_them(amount: int, decimals: int, text: str) -> None:
    assert whole(amount, decimals) == text
