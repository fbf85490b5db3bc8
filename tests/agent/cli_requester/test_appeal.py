"""What ``quorate job resolve`` and ``report`` say of what they did: amounts in tokens, and a next step that works."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from nodeagent.amounts import priced
from nodeagent.chain.events import At, CaseClosed, EndedWithoutVerdict, Event, Resolved, Slashed
from nodeagent.cli import requester_appeal as commands
from nodeagent.client import reporting
from nodeagent.client.appealing import Appellant
from nodeagent.client.reporting import Report, Wrong
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard

HERE = At(1, 0, "0x1")
KEY = JobId(7), Shard(1), JobId(12)


def session(verdict: bytes | None = None) -> Any:
    history = SimpleNamespace(cases={1: SimpleNamespace(verdict=verdict)})
    stake = SimpleNamespace(describe=lambda: ("QUOR", 18))
    wallet = SimpleNamespace(send=lambda call: SimpleNamespace(tx=call, logs=()))
    return SimpleNamespace(
        rpc=None, deployment=None, history=lambda _: history, wallet=wallet, address="0xme",
        money=lambda amount: priced(amount, ("TUSD", 6)), doors=SimpleNamespace(stake_token=stake),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "event", "said"),
    [
        (
            None,
            Resolved(HERE, *KEY, b"\x01" * 32, True, 48),
            "resolved in 0xab: the settled answer is OVERTURNED, 0.000048 TUSD of pay is forfeited; "
            "then: quorate job report 7 1",
        ),
        (
            None,
            Resolved(HERE, *KEY, b"\x01" * 32, False, 0),
            "resolved in 0xab: the settled answer is UPHELD; then: quorate job why 7 1",
        ),
        (
            None,
            EndedWithoutVerdict(HERE, *KEY, 121),
            "resolved in 0xab: no verdict came, the bond of 0.000121 TUSD is burned; then: quorate job why 7 1",
        ),
        (
            b"\x01" * 32,
            CaseClosed(HERE, *KEY, 25),
            "closed in 0xab: 0.000025 TUSD that no judge earned came back; then: quorate job why 7 1",
        ),
    ],
)
def test_resolve__every_end__says_which_and_what_it_came_to(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verdict: bytes | None,
    event: Event,
    said: str,
) -> None:
    monkeypatch.setattr(Appellant, "__init__", lambda *_: None)
    monkeypatch.setattr(Appellant, "resolve", lambda *_: SimpleNamespace(tx="0xab", logs=()))
    monkeypatch.setattr(commands, "_events", lambda _: [None, event])
    commands.resolve.main(["7", "1"], obj=session(verdict), standalone_mode=False)
    assert capsys.readouterr().err == said + "\n"
    commands.resolve.main(["7", "1", "--json"], obj=session(verdict), standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("forfeited", "burned", "refund")} == {
        "forfeited": getattr(event, "forfeited", None),
        "burned": getattr(event, "burned", None),
        "refund": getattr(event, "refund", None),
    }


def test_report__slashed__stake_and_reward_in_stake_tokens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Wrong(NodeId(3), 0, 2, b"\x66" * 32, "call")  # type: ignore[arg-type]
    plan = Report((wrong,), (), "0xme", Epoch(120), Epoch(110))
    monkeypatch.setattr(reporting, "plan_report", lambda *_: plan)
    monkeypatch.setattr(commands, "_events", lambda _: [Slashed(HERE, NodeId(3), 5 * 10**17, "0xme", 5 * 10**16)])
    commands.report.main(["7", "1"], obj=session(), standalone_mode=False)
    assert "slashed   node 3: 0.5 QUOR, of which 0.05 QUOR is the reward\n" in capsys.readouterr().err
    commands.report.main(["7", "1", "--json"], obj=session(), standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["slashed"] == [{"node": 3, "stake": 5 * 10**17, "reward": 5 * 10**16}] and told["nodes"] == [3]
