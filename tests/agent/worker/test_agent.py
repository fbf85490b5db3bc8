"""The loop's small duties: what is handed on when a job is over."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scene import EB, posted, world

from nodeagent.protocol.types import JobId
from nodeagent.worker.agent import Agent
from nodeagent.worker.ledger import Ledger
from nodeagent.worker.views import Passes


class Anything:
    """Takes whatever is called."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_prune__job_is_over__its_payload_is_given_up_and_others_are_not(tmp_path: Path) -> None:
    given: list[frozenset[bytes]] = []
    agent: Any = SimpleNamespace(
        hands=SimpleNamespace(
            deployment=SimpleNamespace(ring=128, settle_grace=8, report_epochs=4),
            ledger=Ledger(tmp_path / "agent.db"),
            outbox=Anything(),
            pending=tmp_path,
        ),
        world=world([posted(1), posted(2, post_epoch=500)]),
        bench=SimpleNamespace(forget=given.append),
        passes=Passes(),
        lottery=Anything(),
        _epoch_blocks=EB,
        _warmed={JobId(1), JobId(2)},
    )
    Agent._prune(agent, 400 * EB)
    assert given == [{bytes([1]) * 32}]
    assert set(agent.world.jobs) == agent._warmed == {JobId(2)}
