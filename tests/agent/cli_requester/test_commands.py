"""``quorate`` without a chain: help that imports little, accounts, configuration, and precise refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest

from nodeagent.cli.requester import main
from nodeagent.cli.requester_common import Session, seconds_text, table
from nodeagent.devnet import contracts
from nodeagent.devnet.state import DevnetFault

HEAVY = ("numpy", "onnx", "web3", "eth_account", "pydantic", "urllib3", "magika", "ape")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUORATE_HOME", "QUORATE_RPC_URL", "QUORATE_DEPLOYMENT", "QUORATE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    monkeypatch.setenv("QUORATE_PASSWORD_FILE", str(file))
    return file


def quorate(home: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["--home", str(home), *words])
    return int(stop.value.code or 0)


@pytest.mark.parametrize("words", [[], ["job"], ["devnet"], ["account"]])
def test_help__any_group__imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from nodeagent.cli.requester import main\n"
        "try:\n    main(sys.argv[1:] + ['--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        f"loaded = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "print(loaded, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Commands:" in done.stdout


def test_account_new__twice__keeps_the_first(
    tmp_path: Path, password: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nodeagent import keys

    monkeypatch.setitem(keys.SCRYPT, "standard", keys.SCRYPT["light"])
    home = tmp_path / "home"
    assert quorate(home, "account", "new") == 0
    address = capsys.readouterr().out.strip()
    stored = (home / "keystore.json").read_text()
    assert "correct horse" not in stored
    assert (home / "keystore.json").stat().st_mode & 0o077 == 0
    assert quorate(home, "account", "new") == 1
    assert f"already holds account {address}" in capsys.readouterr().err
    assert (home / "keystore.json").read_text() == stored
    assert quorate(home, "account", "show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["address"] == address


def test_account_new__no_terminal__says_how_to_give_the_password(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "nodeagent.cli.requester", "--home", str(tmp_path / "home"), "account", "new"]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True, check=False
    )
    assert done.returncode == 1
    needed = "error: the password of the account is needed, and there is no terminal"
    assert done.stderr == f"{needed}\n  next: set QUORATE_PASSWORD_FILE\n"


def test_account_show__no_account__says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quorate(tmp_path, "account", "show") == 1
    said = capsys.readouterr().err
    assert "there is no account" in said
    assert "next: make one with: quorate account new" in said


@pytest.mark.parametrize("words", [["quote", "--tasks", "3", "--units", "1"], ["job", "list"], ["job", "watch", "1"]])
def test_commands__not_connected__say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert quorate(tmp_path, *words) == 1
    assert "quorate connect --rpc-url URL --deployment FILE" in capsys.readouterr().err


def test_commands__rpc_url_is_none__exit_with_one_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quorate(tmp_path, "--rpc-url", "notaurl", "--deployment", __file__, "job", "watch", "1") == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("error: 'notaurl' is not the URL") and said[1].startswith("  next: set --rpc-url")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["quote"], "give --model and --inputs, or --tasks and --units"),
        (["quote", "--tasks", "3"], "--tasks needs --units"),
        (["job", "post"], "Missing option '--model'"),
        (["job", "post", "--model", __file__, "--inputs", __file__, "--runtime", "onnx-native"], "numeric tolerance"),
        (["job", "post", "--model", __file__, "--inputs", __file__, "--out", "x"], "--out and --format need --wait"),
        (["job", "fetch", "1"], "Missing option '--out'"),
        (["job", "watch", "0"], "0 is not in the range x>=1"),
        (["job", "watch", "x"], "'x' is not a valid whole number"),
        (["job", "why", "x", "0"], "'JOB': 'x' is not a valid whole number"),
        (["job", "appeal", "1", "1.5"], "'SHARD': '1.5' is not a valid whole number"),
        (["frob"], "No such command 'frob'"),
    ],
)
def test_commands__wrong_usage__exit_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert quorate(tmp_path, *words) == 2
    assert says in capsys.readouterr().err


def test_config__unknown_or_broken__names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text('rpc_urll = "x"\n')
    assert quorate(tmp_path, "job", "list") == 1
    assert "unknown key 'rpc_urll'" in capsys.readouterr().err
    (tmp_path / "config.toml").write_text("rpc_url = \n")
    assert quorate(tmp_path, "job", "list") == 1
    assert "cannot be read" in capsys.readouterr().err


def test_remember__some_values__keeps_the_others(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.remember(rpc_url="http://a", gateway_port=7)
    session.remember(gateway_port=None, endpoint="http://b")
    assert Session(tmp_path).config == {"rpc_url": "http://a", "endpoint": "http://b"}


def test_units_of__amounts__are_exact_or_refused(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.token = ("TUSD", 6)
    assert session.units_of("1.000001", "--max-price") == 1_000_001
    assert session.money(1_500_000) == "1.5 TUSD"
    for text in ("1.0000001", "-1", "much", "nan", "inf"):
        with pytest.raises(click.UsageError, match="--max-price"):
            session.units_of(text, "--max-price")


@pytest.mark.parametrize("document", ["job", "batch", "receipts"])
def test_schema__every_document__is_json_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: str
) -> None:
    assert quorate(tmp_path, "schema", document) == 0
    schema: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert schema["properties"]["version"]["const"] == f"quorate/{document}/1"
    assert schema["additionalProperties"] is False


def test_check__model_and_inputs_do_not_fit__names_the_array(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model is opened by the Executor's process, the refusal comes back as words."""
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    save(made, tmp_path / "m.onnx")
    words = ["check", "--model", str(tmp_path / "m.onnx"), "--inputs", str(tmp_path / "x.npz")]
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 3), np.float32))
    assert quorate(tmp_path / "home", *words) == 1
    assert "array 'x' has shape [3] per task: expected [4]" in capsys.readouterr().err
    np.savez(tmp_path / "x.npz", x=np.array([[-1.0, 2, 3, 4]], np.float32))
    assert quorate(tmp_path / "home", *words, "--out", str(tmp_path / "y.npz"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == 1
    with np.load(tmp_path / "y.npz") as outputs:
        assert outputs["y"].tolist() == [[0, 2, 3, 4]]
    np.savez(tmp_path / "other.npz", y=np.array([[0, 2, 3, 4.1]], np.float32), __status__=np.zeros(1, np.uint8))
    assert quorate(tmp_path / "home", *words, "--against", str(tmp_path / "other.npz")) == 1
    assert "0 of 1 tasks are equal within 0.0001" in capsys.readouterr().out


def test_devnet_up__no_toolkit__says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "ape" else find(name, *rest))
    with pytest.raises(DevnetFault, match="ape is not installed"):
        contracts.find_ape()


def test_devnet_up__outside_a_checkout__says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "__file__", str(tmp_path / "contracts.py"))
    with pytest.raises(DevnetFault, match="no checkout of Quorate"):
        contracts.find_project(tmp_path)


def test_devnet_up__folder_of_something_else__is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert quorate(tmp_path / "home", "devnet", "up", "--dir", str(tmp_path)) == 1
    assert "holds 'thesis.txt' and no devnet" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_devnet_status__none__is_not_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quorate(tmp_path, "devnet", "status", "--dir", str(tmp_path / "net"), "--json") == 1
    assert json.loads(capsys.readouterr().out)["up"] is False
    assert quorate(tmp_path, "devnet", "down", "--dir", str(tmp_path / "net")) == 0
    assert "nothing was running" in capsys.readouterr().err


def test_devnet_up__any_folder__names_the_command_that_stops_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nodeagent.cli import devnet
    from nodeagent.devnet.network import Devnet

    monkeypatch.setattr(devnet, "default_folder", lambda: tmp_path / "default")
    monkeypatch.setattr(Devnet, "up", lambda self, _: SimpleNamespace(requester_home=self.home / "requester"))
    for words, told in (
        ([], "stop it: quorate devnet down\n"),
        (["--dir", str(tmp_path / "default")], "stop it: quorate devnet down\n"),
        (["--dir", str(tmp_path / "my net")], f"stop it: quorate devnet down --dir '{tmp_path}/my net'\n"),
    ):
        assert quorate(tmp_path, "devnet", "up", *words) == 0
        assert capsys.readouterr().err.endswith(told)
    monkeypatch.chdir(tmp_path)
    assert quorate(tmp_path, "devnet", "status", "--dir", "net") == 1
    net = tmp_path / "net"
    assert f"no devnet in {net}: quorate devnet up --dir {net}\n" == capsys.readouterr().out
    assert quorate(tmp_path, "devnet", "down", "--dir", "net") == 0
    assert f"nothing was running in {net}\n" == capsys.readouterr().err


def test_table__rows__align() -> None:
    assert table([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc  d"


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (130, "2.2 min"), (9000, "2.5 h"), (200_000, "2.3 d")])
def test_seconds_text__any_length__reads_well(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
