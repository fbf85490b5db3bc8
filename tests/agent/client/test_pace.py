"""The time between blocks that a quote counts on: of the last blocks, as few as whole seconds allow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pytest

from nodeagent.client.facts import _block_seconds


class Blocks:
    """A chain by the seconds between its blocks; timestamps are whole, as on any chain."""

    def __init__(self, gaps: Sequence[float]) -> None:
        self.times = [int(t) for t in accumulate(gaps, initial=1_000.0)]

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        assert method == "eth_getBlockByNumber" and params[1] is False
        return {"timestamp": hex(self.times[int(params[0], 16)])}

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [self.call(*call) for call in calls]


def measured(*gaps: float) -> float:
    blocks = Blocks(gaps)
    return _block_seconds(blocks, len(gaps), blocks.times[-1])


@pytest.mark.parametrize("slow", [4, 12, 60])
def test_block_seconds__a_set_up_hurried_before__is_the_pace_since(slow: int) -> None:
    assert measured(*[0.15] * 200, *[2.19] * slow) == pytest.approx(2.19, rel=0.15)


def test_block_seconds__a_devnets_second__is_taken_over_a_dozen() -> None:
    assert measured(*[0.15] * 200, *[1.0] * 12) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("gap", [0.25, 2.0, 12.0])
def test_block_seconds__a_steady_chain__is_its_pace(gap: float) -> None:
    assert measured(*[gap] * 150) == pytest.approx(gap, rel=0.1)


@pytest.mark.parametrize(("gaps", "seconds"), [((), 1.0), ((3.0,), 3.0), ((0.1,) * 5, 0.0)])
def test_block_seconds__a_young_chain__is_all_there_is(gaps: tuple[float, ...], seconds: float) -> None:
    assert measured(*gaps) == seconds
