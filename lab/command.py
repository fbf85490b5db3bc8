"""What ``quorate lab`` does: networks, scenarios one after the other, the report."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lab.net import LabNet
from lab.recorder import write_record
from lab.report import report, show, summary
from lab.run import Outcome, play
from lab.scenario import Scenario
from lab.scenarios import SCENARIOS, find
from lab.stage import Say
from nodeagent.cli.common import make_folder
from nodeagent.devnet.contracts import find_ape, find_project


@dataclass(frozen=True, slots=True)
class LabOptions:
    """:param epochs: in which shards start; None takes each scenario's own
    :param home: folder of the network, emptied first
    :param out: folder of ``report.json`` and the recordings
    """

    names: tuple[str, ...]
    epochs: int | None
    seed: int
    home: Path
    out: Path
    keep: bool = False


def list_scenarios() -> list[dict[str, str]]:
    """Names and one line each."""
    return [{"name": scenario.name, "about": scenario.about} for scenario in SCENARIOS]


def perform(options: LabOptions, say: Say) -> dict[str, Any]:
    """Runs the scenarios and writes the report after each; returns it.

    :raises UnknownScenario: a name is none
    :raises NoFolder: the report could not be written
    :raises DevnetFault: the toolkit is missing, or a step of a network failed
    """
    scenarios = [find(name) for name in options.names] or list(SCENARIOS)
    find_ape()
    project = find_project()
    make_folder(options.out)
    outcomes: list[Outcome] = []
    found = report(outcomes)
    for seats in dict.fromkeys(scenario.seats for scenario in scenarios):
        here = [scenario for scenario in scenarios if scenario.seats == seats]
        net = LabNet(options.home, say, project, seats, appeals=any(s.appeal_epochs for s in here))
        try:
            net.raise_all()
            for scenario in here:
                outcomes.append(_one(net, scenario, options, say))
                found = _write(options.out, scenarios, outcomes)
        finally:
            net.down(keep=options.keep)
    return found


def _one(net: LabNet, scenario: Scenario, options: LabOptions, say: Say) -> Outcome:
    outcome = play(net, scenario, options.epochs or scenario.epochs, options.seed, say)
    differs = write_record(options.out / f"{scenario.name}.record.json", net, outcome.log)
    for line in differs:
        say(f"replayed otherwise: {line}")
    outcome.checks["a replay draws the same committees and comes to the same balances"] = not differs
    say(show(outcome) + "\n")
    return outcome


def _write(out: Path, scenarios: Sequence[Scenario], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The report so far, in the scenarios' order; the file is replaced whole."""
    order = [scenario.name for scenario in scenarios]
    found = report(sorted(outcomes, key=lambda outcome: order.index(outcome.scenario.name)))
    part = out / "report.json.new"
    part.write_text(json.dumps(found, indent=2) + "\n")
    os.replace(part, out / "report.json")
    return found


def print_summary(found: dict[str, Any]) -> None:
    """The table of all scenarios."""
    click.echo(summary(found["scenarios"]))
