"""What a scenario is: who is in the pool, what each party does, and what has to come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lab.expected import HONEST, MUTE
from nodeagent.errors import JobFault

HONEST_AGENT = "nodeagent.cli.node"
NOBODY = ""
"""Runs no process: a ghost."""


class UnknownScenario(JobFault):
    """No scenario has that name."""


class Basis(Enum):
    """What a party's net is held against."""

    HONEST = "an honest seat of the same pool"
    OWN = "the same party, had it played fair in the same draws"
    DRAWS = "an honest seat, each at its expected number of draws"
    ABOVE = "nothing: above its threshold a cartel profits, and the rate is what counts"


@dataclass(frozen=True, slots=True)
class Role:
    """A party of agents, by their numbers from 1.

    :param module: what is started for each of them
    :param orders: what the module is told
    :param config: settings of these nodes' ``config.toml``
    :param camp: how expectations count them
    """

    name: str
    module: str
    agents: tuple[int, ...]
    orders: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    camp: str = MUTE


@dataclass(frozen=True, slots=True)
class Scenario:
    """One attack.

    :param seats: of each agent
    :param hands: name of what operators and requesters of the scenario do by hand, see ``lab.hands``
    :param epochs: in which shards start, unless the command says otherwise; ``pace`` shards start in each
    """

    name: str
    about: str
    seats: tuple[int, ...]
    roles: tuple[Role, ...]
    basis: Basis = Basis.HONEST
    appeal_epochs: int = 0
    pace: int = 6
    epochs: int = 8
    liars_judge: bool = True
    hands: str = ""

    @property
    def adversaries(self) -> dict[int, Role]:
        """Roles by agent number; who is not there is honest."""
        return {number: role for role in self.roles for number in role.agents}

    def party(self, number: int) -> str:
        """Name of the party that an agent belongs to."""
        role = self.adversaries.get(number)
        return role.name if role else HONEST

    def camp(self, number: int) -> str:
        """Camp that an agent counts in."""
        role = self.adversaries.get(number)
        return role.camp if role else HONEST
