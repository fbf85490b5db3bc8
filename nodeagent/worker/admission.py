"""What the operator lets run on this machine, and when. What is refused is a pass, which is always safe."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.protocol.manifest import JobManifest
from nodeagent.protocol.types import AnswerClass, Shard
from nodeagent.worker.world import Job

IDLE_WINDOW_S = 5.0  # over which the use of the processor by others is taken


@dataclass(frozen=True, slots=True)
class Admission:
    """Lists of an operator. Requesters are lower-case addresses, models CIDs; an empty list of the allowed allows all.

    A case of the Court is judged by whose job it is about: it is that requester's payload.
    """

    min_unit_price: int = 0
    allow_requesters: frozenset[str] = frozenset()
    deny_requesters: frozenset[str] = frozenset()
    allow_models: frozenset[str] = frozenset()
    deny_models: frozenset[str] = frozenset()
    allow_runtimes: frozenset[str] = frozenset()

    def job(self, job: Job) -> str | None:
        """Why a job is refused as it was posted."""
        requester = job.payload(Shard(0))[0].requester.lower()
        if job.terms.answer_class is not AnswerClass.EXACT:
            return f"class {job.terms.answer_class.name} is not one this node computes"
        if job.unit_price < self.min_unit_price:
            return f"it pays {job.unit_price} a unit, min_unit_price is {self.min_unit_price}"
        return _listed("requester", requester, self.allow_requesters, self.deny_requesters)

    def manifest(self, manifest: JobManifest) -> str | None:
        """Why a job is refused for what its manifest names."""
        model = _listed("model", manifest.model.cid, self.allow_models, self.deny_models)
        return model or _listed("runtime", manifest.runtime.name, self.allow_runtimes, frozenset())


def _listed(what: str, name: str, allowed: frozenset[str], denied: frozenset[str]) -> str | None:
    if name in denied:
        return f"{what} {name} is in deny_{what}s"
    if allowed and name not in allowed:
        return f"{what} {name} is not in allow_{what}s"
    return None


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of the day, local time, from ``start`` until before ``end``; over midnight where ``end`` is earlier."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Span:
        """``22:00-07:30``. Raises ValueError."""
        parts = [part.split(":") for part in text.split("-")]
        minutes = [int(hour) * 60 + int(minute) for hour, minute in parts]
        within = all(0 <= int(hour) <= 24 and 0 <= int(minute) < 60 for hour, minute in parts)
        if len(minutes) != 2 or not within or max(minutes) > 24 * 60 or minutes[0] == minutes[1]:
            raise ValueError(f"{text!r} is not a time of day such as 22:00-07:30")
        return cls(*minutes)

    def holds(self, minute: int) -> bool:
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


class Machine:
    """Whether this machine may work now. ``system`` is psutil, or what stands for it."""

    def __init__(
        self,
        spans: Sequence[Span] = (),
        *,
        mains_only: bool = False,
        idle_below: float | None = None,
        system: Any = None,
        now: Callable[[], datetime.datetime] = datetime.datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spans, self._mains_only, self._idle_below = tuple(spans), mains_only, idle_below
        self._system, self._now, self._clock = system or _psutil(mains_only or idle_below is not None), now, clock
        self._last: tuple[float, float, float] | None = None  # when, processor seconds of all, and of ours
        self._others: float | None = None

    def resting(self) -> str | None:
        """Why no work is begun now; None when it may be. What has begun goes on."""
        at = self._now()
        minute = at.hour * 60 + at.minute
        if self._spans and not any(span.holds(minute) for span in self._spans):
            return f"it is {at:%H:%M}, outside work_hours"
        if self._mains_only and self._on_battery():
            return "the machine is on battery (mains_only)"
        if self._idle_below is not None:
            return self._not_idle(self._idle_below)
        return None

    def _on_battery(self) -> bool:
        battery = self._system.sensors_battery() if hasattr(self._system, "sensors_battery") else None
        return battery is not None and battery.power_plugged is False

    def _not_idle(self, below: float) -> str | None:
        at = self._clock()
        if self._last is None or at - self._last[0] >= IDLE_WINDOW_S:
            busy, ours = self._busy(), self._ours()
            if self._last is not None:
                spent = (busy - self._last[1]) - (ours - self._last[2])
                self._others = max(0.0, 100 * spent / (at - self._last[0]) / (os.cpu_count() or 1))
            self._last = at, busy, ours
        if self._others is None:
            return "not known yet whether the machine is idle (idle_below)"
        if self._others >= below:
            return f"other programs use {self._others:.0f} % of the processor, idle_below is {below:g}"
        return None

    def _busy(self) -> float:
        """Processor seconds that anybody has used since the machine started."""
        times = self._system.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        return float(sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))

    def _ours(self) -> float:
        """Processor seconds of this agent and of what it started."""
        me = self._system.Process()
        total = 0.0
        for process in [me, *me.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except self._system.Error:  # it has just ended
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total


def _psutil(needed: bool) -> Any:
    if not needed:
        return None
    import psutil

    return psutil
