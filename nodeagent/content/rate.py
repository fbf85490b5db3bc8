"""A share of the network: so many bytes a second over time, for several threads together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

_LOOK_S: Final = 1.0  # how often ``cancel`` is asked


class Rate:
    """``bytes_per_s`` 0 is no limit. Whoever comes waits until what was taken before is paid for."""

    def __init__(
        self,
        bytes_per_s: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_s, self._clock, self._sleep = bytes_per_s, clock, sleep
        self._lock = threading.Lock()
        self._free = 0.0  # when everything that was taken is paid for

    def take(self, count: int, cancel: Callable[[], bool] = lambda: False) -> None:
        """Returns when ``count`` bytes may pass, or soon after ``cancel`` says so."""
        if not self._bytes_per_s:
            return
        with self._lock:
            start = max(self._free, self._clock())
            self._free = start + count / self._bytes_per_s
        while (wait := start - self._clock()) > 0 and not cancel():
            self._sleep(min(wait, _LOOK_S))
