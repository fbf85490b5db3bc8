"""The catalogue: every attack of the issue is there, on a pool in which it can be tried."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lab.agents
from lab.agents.plug import ORDERS
from lab.expected import HONEST
from lab.hands import HANDS
from lab.report import ATTACKS as SIGNS
from lab.scenario import NOBODY, Scenario, UnknownScenario
from lab.scenarios import SCENARIOS, find

ATTACKS = {
    "lazy", "enumerator", "copier", "withholder", "ghost", "flip-flopper", "cartel-below", "cartel-above",
    "false-accuser", "case-staller", "sybil", "hole-maker", "censor", "griefing-requester",
}  # fmt: skip
PROJECT = Path(__file__).resolve().parents[2]
KINDS = sorted({m.name for m in pkgutil.iter_modules(lab.agents.__path__)} - {"plug", "answers"})
every = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)


def test_scenarios__all__are_the_attacks_once_each() -> None:
    assert sorted(s.name for s in SCENARIOS) == sorted(ATTACKS)


@every
def test_scenarios__each__has_nine_agents_and_room_for_judges(scenario: Scenario) -> None:
    assert len(scenario.seats) >= 9
    assert set(scenario.adversaries) <= set(range(1, len(scenario.seats) + 1))
    judges = 5 if scenario.appeal_epochs else 0
    assert len(scenario.seats) >= 3 + judges
    assert max(scenario.seats) <= 4


@every
def test_scenarios__each__names_parties_and_hands_that_exist(scenario: Scenario) -> None:
    assert scenario.hands in HANDS
    assert scenario.party(len(scenario.seats)) == HONEST, "the last agent reports faults and is honest"
    for role in scenario.roles:
        assert role.module == NOBODY or importlib.util.find_spec(role.module) is not None
        assert role.name != HONEST
        assert role.name in SIGNS, "what shows that it attacked"


@pytest.mark.parametrize("kind", KINDS)
def test_agents__each_kind__replaces_its_part_and_is_the_agent(kind: str) -> None:
    """Started as the lab starts it: an agent that lost its seam would fail here, and not behave."""
    told = {**os.environ, ORDERS: json.dumps({"way": "leaves", "members": [1], "seed": 1})}
    argv = [sys.executable, "-m", f"lab.agents.{kind}", "run", "--help"]
    done = subprocess.run(argv, env=told, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Work until stopped" in done.stdout


def test_find__unknown_name__says_where_names_are() -> None:
    with pytest.raises(UnknownScenario) as caught:
        find("nonesuch")
    assert "nonesuch" in caught.value.message
    assert "--list" in (caught.value.hint or "")
