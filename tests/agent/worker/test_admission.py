"""What the operator lets run, and when.

Admission.job
├── class, price ............................... the first that does not fit is the reason
├── requester denied ........................... refused, whatever else allows it
├── requester not among the allowed ............ refused; addresses compare in any case of letters
└── a case ..................................... judged by whose job it is about
Admission.manifest ............................. model by CID, runtime by name
Span.parse ..................................... times of day; anything else is refused
Machine.resting
├── nothing asked .............................. always works, and looks at nothing
├── hours ...................................... local time, over midnight, the end excluded
├── mains ...................................... no battery, or plugged in
└── idle ....................................... others' use of the processor, without the agent's own
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from scene import posted, world

from nodeagent.config import BadConfig, parse_config
from nodeagent.protocol.types import AnswerClass, JobId, Shard
from nodeagent.worker.admission import IDLE_WINDOW_S, Admission, Machine, Span
from nodeagent.worker.start import admission, machine
from nodeagent.worker.world import Job

MODEL = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def job(price: int = 5, kind: AnswerClass = AnswerClass.EXACT) -> Job:
    return world([posted(1, price=price, answer_class=kind)]).jobs[JobId(1)]


WHO = job().requester.lower()


@pytest.mark.parametrize(
    ("lets", "price", "kind", "why"),
    [
        (Admission(), 1, AnswerClass.EXACT, None),
        (Admission(5), 5, AnswerClass.EXACT, None),
        (Admission(5), 4, AnswerClass.EXACT, "it pays 4 a unit, min_unit_price is 5"),
        (Admission(), 9, AnswerClass.TOLERANT, "class TOLERANT is not one"),
        (Admission(deny_requesters=frozenset([WHO])), 5, AnswerClass.EXACT, "is in deny_requesters"),
        (Admission(allow_requesters=frozenset([WHO])), 5, AnswerClass.EXACT, None),
        (Admission(allow_requesters=frozenset(["0x" + "9" * 40])), 5, AnswerClass.EXACT, "is not in allow_requesters"),
        (
            Admission(allow_requesters=frozenset([WHO]), deny_requesters=frozenset([WHO])),
            5,
            AnswerClass.EXACT,
            "is in deny_requesters",
        ),
    ],
)
def test_job__lists_price_and_class__decide(lets: Admission, price: int, kind: AnswerClass, why: str | None) -> None:
    found = lets.job(job(price, kind))
    assert found is None if why is None else found is not None and why in found


def test_job__case__is_the_appealed_jobs_requester() -> None:
    about = replace(job(), requester="0x" + "B" * 40)
    case = replace(job(), about=(about, Shard(0)))
    assert "0x" + "b" * 40 in str(Admission(deny_requesters=frozenset(["0x" + "b" * 40])).job(case))
    assert Admission(deny_requesters=frozenset([WHO])).job(case) is None


@pytest.mark.parametrize(
    ("lets", "why"),
    [
        (Admission(), None),
        (Admission(allow_models=frozenset([MODEL]), allow_runtimes=frozenset(["onnx-canonical"])), None),
        (Admission(deny_models=frozenset([MODEL])), f"model {MODEL} is in deny_models"),
        (Admission(allow_models=frozenset(["other"])), f"model {MODEL} is not in allow_models"),
        (Admission(allow_runtimes=frozenset(["wasm"])), "runtime onnx-canonical is not in allow_runtimes"),
    ],
)
def test_manifest__model_and_runtime__decide(lets: Admission, why: str | None) -> None:
    manifest: Any = SimpleNamespace(model=SimpleNamespace(cid=MODEL), runtime=SimpleNamespace(name="onnx-canonical"))
    assert lets.manifest(manifest) == why


@pytest.mark.parametrize(
    "text", ["", "22:00", "22-7", "a:b-c:d", "25:00-26:00", "08:60-09:00", "8:00-8:00", "1:0-2:0-3:0"]
)
def test_parse__no_times_of_day__is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Span.parse(text)
    with pytest.raises(BadConfig, match="work_hours"):
        parse_config({"deployment": "x.json", "work_hours": [text]}, "here")


@dataclass
class System:
    """A machine of two processors whose times are set by hand."""

    busy: float = 0.0
    own: float = 0.0
    plugged: bool | None = None
    Error: type[Exception] = field(default=KeyError)

    def cpu_times(self) -> Any:
        class Times(tuple[float, float]):
            idle = 1_000.0

        return Times((self.busy, 1_000.0))

    def sensors_battery(self) -> Any:
        return None if self.plugged is None else SimpleNamespace(power_plugged=self.plugged)

    def Process(self) -> Any:
        def times() -> Any:
            return SimpleNamespace(user=self.own, system=0.0, children_user=0.0, children_system=0.0)

        def gone() -> Any:
            raise KeyError

        return SimpleNamespace(cpu_times=times, children=lambda recursive: [SimpleNamespace(cpu_times=gone)])


def at(hour: int, minute: int = 0) -> datetime.datetime:
    return datetime.datetime(2026, 3, 1, hour, minute)  # noqa: DTZ001  local time is meant


def test_resting__nothing_asked__always_works() -> None:
    assert Machine().resting() is None


@pytest.mark.parametrize(
    ("spans", "now", "works"),
    [
        (["09:00-17:00"], at(9), True),
        (["09:00-17:00"], at(16, 59), True),
        (["09:00-17:00"], at(17), False),
        (["22:00-07:30"], at(23), True),
        (["22:00-07:30"], at(0), True),
        (["22:00-07:30"], at(7, 29), True),
        (["22:00-07:30"], at(7, 30), False),
        (["12:00-13:00", "22:00-24:00"], at(23, 59), True),
        (["12:00-13:00", "22:00-24:00"], at(14), False),
    ],
)
def test_resting__hours__local_time(spans: list[str], now: datetime.datetime, works: bool) -> None:
    why = Machine([Span.parse(text) for text in spans], now=lambda: now).resting()
    assert why is None if works else "outside work_hours" in str(why)


@pytest.mark.parametrize(("plugged", "works"), [(None, True), (True, True), (False, False)])
def test_resting__mains__works_without_a_battery_or_plugged_in(plugged: bool | None, works: bool) -> None:
    why = Machine(mains_only=True, system=System(plugged=plugged)).resting()
    assert why is None if works else "on battery" in str(why)


def test_resting__idle__others_count_and_the_agent_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    system, now = System(), [100.0]
    own = Machine(idle_below=20, system=system, clock=lambda: now[0])
    assert "not known yet" in str(own.resting())

    def later(others: float, ours: float) -> str | None:
        now[0] += IDLE_WINDOW_S
        system.busy += (others + ours) * IDLE_WINDOW_S
        system.own += ours * IDLE_WINDOW_S
        return own.resting()

    assert later(others=0.2, ours=1.5) is None  # a tenth of two processors
    assert later(others=0.5, ours=0.0) == "other programs use 25 % of the processor, idle_below is 20"
    now[0] += IDLE_WINDOW_S / 2
    assert own.resting() is not None, "within a window the last look counts"
    assert later(others=0.0, ours=2.0) is None


def test_admission_and_machine__configuration__is_taken_over() -> None:
    config = parse_config(
        {
            "deployment": "x.json",
            "min_unit_price": 3,
            "deny_requesters": ["0x" + "Ab" * 20],
            "allow_models": [MODEL],
            "allow_runtimes": ["onnx-canonical"],
            "work_hours": ["22:00-07:30"],
        },
        "here",
    )
    lets = admission(config)
    assert lets == Admission(
        3,
        deny_requesters=frozenset(["0x" + "ab" * 20]),
        allow_models=frozenset([MODEL]),
        allow_runtimes=frozenset(["onnx-canonical"]),
    )
    assert isinstance(machine(config), Machine)


@pytest.mark.parametrize("name", ["allow_requesters", "deny_models"])
def test_parse_config__no_address_or_cid__names_the_field(name: str) -> None:
    with pytest.raises(BadConfig, match=name):
        parse_config({"deployment": "x.json", name: ["me"]}, "here")
