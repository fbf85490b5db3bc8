"""What a node's home holds: keystores and their passwords, the configuration, and the lock of the one agent in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodeagent.cli.node import main
from nodeagent.config import BadConfig, Home, NodeConfig, load_config, parse_config, save_config
from nodeagent.keys import BadKey, create_keystore, open_keystore, read_password
from nodeagent.worker.live import AlreadyRunning, only_one, running_pid

KEY = b"\x42" * 32
ADDRESS = "0x17c5185167401eD00cF5F5b2fc97D9BBfDb7D025"

# --- keys -------------------------------------------------------------------------------------------------------------


def test_open_keystore__wrong_password__says_where_to_put_it(tmp_path: Path) -> None:
    create_keystore(tmp_path / "k.json", "right", cost="light", key=KEY)
    with pytest.raises(BadKey, match="NODEAGENT_PASSWORD_FILE"):
        open_keystore(tmp_path / "k.json", "wrong")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 3}'])
def test_open_keystore__no_keystore__refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "k.json").write_text(content)
    with pytest.raises(BadKey, match=r"k\.json"):
        open_keystore(tmp_path / "k.json", "pw")


def test_create_keystore__file_exists_or_password_empty__refused(tmp_path: Path) -> None:
    create_keystore(tmp_path / "k.json", "pw", cost="light")
    before = (tmp_path / "k.json").read_text()
    with pytest.raises(BadKey, match="never overwritten"):
        create_keystore(tmp_path / "k.json", "pw", cost="light")
    with pytest.raises(BadKey, match="password is empty"):
        create_keystore(tmp_path / "other.json", "", cost="light")
    assert (tmp_path / "k.json").read_text() == before and not (tmp_path / "other.json").exists()


def test_read_password__given_before_environment_before_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("given", "env", "home"):
        (tmp_path / name).write_text(f"{name}\n")
    assert read_password(None, tmp_path / "home") == "home"
    assert read_password(None, tmp_path / "absent") is None
    monkeypatch.setenv("NODEAGENT_PASSWORD_FILE", str(tmp_path / "env"))
    assert read_password(None, tmp_path / "home") == "env"
    assert read_password(tmp_path / "given", tmp_path / "home") == "given"
    with pytest.raises(BadKey, match="cannot read the password file"):
        read_password(tmp_path / "absent")


# --- configuration and lock -------------------------------------------------------------------------------------------


def test_save_config__read_back__equal(tmp_path: Path) -> None:
    home = Home(tmp_path)
    config = NodeConfig(deployment="x.json", executor_argv=("a", "b"), cores=3)
    save_config(home, config)
    assert load_config(home) == config


def test_parse_config__field_wrong__named() -> None:
    with pytest.raises(BadConfig, match="here: cores"):
        parse_config({"deployment": "x", "cores": "many"}, "here")


def test_load_config__not_toml__says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("= 3")
    with pytest.raises(BadConfig, match="correct it"):
        load_config(Home(tmp_path))


@pytest.mark.parametrize("url", ["ftp://x", "https://user@host", "https://host/?a=1", "host"])
def test_parse_config__gateway_that_is_no_base_url__names_the_field(url: str) -> None:
    good = parse_config({"deployment": "x.json", "gateways": ["https://ipfs.example.org/"]}, "here")
    assert good.gateways == ("https://ipfs.example.org",)
    with pytest.raises(BadConfig, match="gateways"):
        parse_config({"deployment": "x.json", "gateways": [url]}, "here")


@pytest.mark.parametrize("order", [[], ["peers", "neighbours"]])
def test_parse_config__order_of_nobody_or_of_unknown__names_the_field(order: list[str]) -> None:
    with pytest.raises(BadConfig, match="content_order"):
        parse_config({"deployment": "x.json", "content_order": order}, "here")


def test_only_one__second_agent_in_a_home__refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert running_pid(home) is None
    with only_one(home):
        assert running_pid(home) == os.getpid()
        with pytest.raises(AlreadyRunning, match="already runs"), only_one(home):
            pytest.fail("two agents would seal one epoch twice")
    assert running_pid(home) is None


def test_init__help__names_every_setting(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["init", "--help"])
    told = capfd.readouterr().out
    assert all(f"\n  {name} " in told for name in NodeConfig.model_fields)
