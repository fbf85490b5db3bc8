"""Posting a planned job once more: paid like the first, and one line for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from nodeagent.cli import requester_post, requester_serve
from nodeagent.client import posting
from nodeagent.client.jobstate import JobState


@dataclass
class Done:
    """What was done, in order."""

    steps: list[Any] = field(default_factory=list)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    found = Done()

    class Poster:
        def __init__(self, *_: Any) -> None:
            pass

        def post(self, state: JobState, quote: Any, *, use_permit: bool) -> Any:
            found.steps.append(("post", state.manifest, state.job, quote, use_permit))
            return SimpleNamespace(job=SimpleNamespace(job=7, at=SimpleNamespace(tx="0xabc")))

    @contextmanager
    def serving(session: Any, probe: Any) -> Iterator[str]:
        found.steps.append(("serve", probe))
        yield "http://here"
        found.steps.append(("stop",))

    monkeypatch.setattr(posting, "Poster", Poster)
    monkeypatch.setattr(posting, "announce", lambda *_: found.steps.append(("announce", _[-1])))
    monkeypatch.setattr(requester_serve, "serving", serving)
    monkeypatch.setattr(requester_post, "make_quote", lambda _, options, tasks, units: (options, tasks, units))
    return found


def test_post_again__a_planned_job__is_paid_anew_and_said_in_one_line(
    done: Done, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = SimpleNamespace(chain_id=1, market="0x01")
    session: Any = SimpleNamespace(rpc=None, deployment=deployment, wallet=None, states=None, address="0xaa")
    plan: Any = SimpleNamespace(
        cid="bafy", digest=b"\x05" * 32, manifest=SimpleNamespace(title="x", tasks=24, units=374)
    )
    posted = requester_post.post_again(session, plan, "terms")  # type: ignore[arg-type]
    assert posted.job == 7
    quote = ("terms", 24, 374)
    assert done.steps == [
        ("serve", "bafy"), ("announce", "http://here"), ("post", "05" * 32, None, quote, True), ("stop",),
    ]  # fmt: skip
    assert capsys.readouterr().err == "posted job 7 in 0xabc\n"
