"""The picture: how often results are wrong, and what a seat of the cartel earns, against its share of the stake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lab.simulate.expected import binomial_interval
from lab.simulate.report import DECIMALS, adversary_net, honest_net
from lab.simulate.run import Outcome, closed_forms
from nodeagent.errors import Fatal

INSTALL = "install the extra: pip install 'quorate[toolkit]', or make setup in a checkout"


class NoPlots(Fatal):
    """The plotting library is not installed."""


def need_plots() -> Any:
    """The plotting library. Raises NoPlots where it is not installed."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise NoPlots("plots need matplotlib, which is not installed here", hint=INSTALL) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Writes a PNG of measured rates with 99.9 % intervals, the closed forms, and net per seat.

    :param outcomes: runs of a cartel and honest nodes, one per share
    """
    pyplot = need_plots()
    figure, (rates, money) = pyplot.subplots(1, 2, figsize=(12, 5), layout="constrained")
    shares = np.array([o.cartel_share for o in outcomes])
    grid = np.linspace(0.001, max(0.02, float(shares.max()) * 1.04), 300)
    curves = [closed_forms(float(a), outcomes[0].options) for a in grid]
    for field, colour, label in (("wrong_settled", "tab:red", "settled"), ("wrong_final", "tab:blue", "final")):
        measured = np.array([getattr(o, field).measured for o in outcomes])
        totals = np.array([o.shards for o in outcomes])
        spans = [binomial_interval(int(n), m / n) for m, n in zip(measured, totals, strict=True)]
        low, high = (np.array(side) for side in zip(*spans, strict=True))
        errors = np.abs(np.stack([measured - low, high - measured])) / totals
        rates.errorbar(
            shares, measured / totals, errors, fmt="o", ms=4, capsize=3, color=colour, label=f"{label}, measured"
        )
        rates.plot(grid, [c[field] for c in curves], color=colour, lw=1, label=f"{label}, closed form")
    rates.set(
        yscale="log", ylim=(max(1e-7, 0.3 / outcomes[0].shards), 1.5), xlabel="cartel's share of the stake",
        ylabel="share of results that are wrong", title=f"{outcomes[0].options.nodes:,} nodes, "
        f"{outcomes[0].shards:,} shards a point",
    )  # fmt: skip
    scale = 10**DECIMALS
    money.plot(shares, [adversary_net(o) / scale for o in outcomes], "o-", ms=4, color="tab:red", label="cartel")
    money.plot(shares, [honest_net(o) / scale for o in outcomes], "o-", ms=4, color="tab:green", label="honest")
    money.axhline(0, color="grey", lw=0.8)
    money.set(xlabel="cartel's share of the stake", ylabel="net per seat, coins", title="what a seat earns")
    money.set_yscale("symlog", linthresh=1)
    for axes in (rates, money):
        axes.grid(alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
