"""Where a key's password comes from, and what is said where nobody can type one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeagent.cli.common import NoTerminal
from nodeagent.cli.node_common import Node
from nodeagent.config import Home
from nodeagent.keys import PASSWORD_VARIABLE, create_keystore, keystore_address


def test_operator__no_terminal__says_which_option_gives_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.setattr("nodeagent.cli.common.has_terminal", lambda: False)
    home = Home(tmp_path)
    for path in (home.key, home.operator):
        create_keystore(path, "secret", cost="light")
    with pytest.raises(NoTerminal, match="the password of the operator key is needed") as refused:
        Node(home).operator(None, None)
    assert refused.value.hint == "give --operator-password-file"
    with pytest.raises(NoTerminal, match="the password of the node key is needed") as refused:
        Node(home).account()
    assert refused.value.hint == "give --password-file"
    (tmp_path / "pw").write_text("secret\n")
    assert Node(home).operator(None, tmp_path / "pw").address == keystore_address(home.operator)
