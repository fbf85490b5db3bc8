"""What ``quorate simulate`` does: one mix, a sweep over the cartel's share, tables, JSON and the plot."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from lab.simulate.kinds import BadMix, Kind, parse_mix, parse_seats
from lab.simulate.plot import draw_plot, need_plots
from lab.simulate.report import DECIMALS, absent, as_json, show
from lab.simulate.run import Outcome, simulate
from lab.simulate.world import Options
from nodeagent.cli.common import make_folder

PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Request:
    """A command line, understood."""

    options: Options
    sweep: tuple[float, ...]
    out: Path


def parse_sweep(text: str) -> tuple[float, ...]:
    """``from:to:step`` or shares with commas between; ``off`` for none. Raises BadMix."""
    if text.strip().lower() in ("off", "none", ""):
        return ()
    try:
        if ":" in text:
            low, high, step = (Decimal(part) for part in text.split(":"))
            if step <= 0:
                raise ValueError
            shares = [float(low + step * i) for i in range(int((high - low) / step) + 1)]
        else:
            shares = [float(part) for part in text.split(",")]
    except (ValueError, InvalidOperation):
        shares = [-1.0]
    if not shares or min(shares) < 0 or max(shares) > 1:
        raise BadMix(
            f"sweep {text!r} is not a grid of shares from 0 to 1", hint="for example 0.05:0.5:0.05, 0.1,0.3 or off"
        )
    return tuple(shares)


def parse_coins(text: str, what: str) -> int:
    """Coins as millionths. Raises BadMix."""
    try:
        amount = Decimal(text) * 10**DECIMALS
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount != int(amount) or amount <= 0:
        raise BadMix(f"{what} {text!r} is not a positive amount with at most {DECIMALS} decimals")
    return int(amount)


def understand(given: dict[str, Any]) -> Request:
    """The request behind the command's options. Raises BadMix."""
    given = dict(given)
    out, sweep = Path(given.pop("out")), parse_sweep(given.pop("sweep"))
    committee = given["committee"]
    if given["quorum"] is None:
        given["quorum"] = committee // 2 + 1
    options = Options(
        **given
        | {
            "mix": parse_mix(given["mix"]),
            "seats": parse_seats(given["seats"]),
            "price": parse_coins(given["price"], "--price"),
            "seat_stake": parse_coins(given["seat_stake"], "--seat-stake"),
        }
    )
    return Request(options.checked(), sweep, out)


def perform(request: Request, as_json_only: bool) -> dict[str, Any]:
    """Runs everything, writes ``simulate.json`` and ``simulate.png`` and prints the tables unless told not to."""
    began = time.perf_counter()
    make_folder(request.out)
    if request.sweep:
        need_plots()  # both said before minutes are spent
    with _bar(request.options.shards, "shards") as done:
        mix = simulate(request.options, done)
    for line in absent(mix):
        click.echo(line, err=True)
    sweep = run_sweep(request.options, request.sweep)
    report = as_json(mix, sweep, time.perf_counter() - began)
    (request.out / "simulate.json").write_text(json.dumps(report, indent=2) + "\n")
    if sweep:
        draw_plot(sweep, request.out / "simulate.png")
    if not as_json_only:
        click.echo(show(mix, sweep))
        click.echo(f"\nin {report['seconds']:.1f} s; report: {request.out / 'simulate.json'}")
        if sweep:
            click.echo(f"plot: {request.out / 'simulate.png'}")
    return report


def run_sweep(options: Options, shares: Sequence[float], processes: int = PROCESSES) -> list[Outcome]:
    """The same network once per share of a cartel, everybody else honest; points run beside each other."""
    if not shares:
        return []
    points = [
        replace(options, mix={Kind.HONEST: 1 - share, Kind.CARTEL: share}, seed=options.seed + 1 + at)
        for at, share in enumerate(shares)
    ]
    found: dict[int, Outcome] = {}
    with (
        ProcessPoolExecutor(max_workers=processes, mp_context=get_context("spawn")) as pool,
        _bar(len(points), "sweep") as done,
    ):
        futures = {pool.submit(simulate, point): at for at, point in enumerate(points)}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            done(1)
    return [found[at] for at in range(len(points))]


@contextmanager
def _bar(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        click.echo(f"{label}: {length:,}", err=True)
        yield lambda steps: None  # noqa: ARG005
        return
    bar: Any
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update
