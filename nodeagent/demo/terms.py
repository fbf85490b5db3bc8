"""How the demo's job is cut and how fast its chain beats, so that five agents on this machine are in time."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

EPOCH_BLOCKS = 10
LEAST_WORK, MOST_WORK = 2, 8  # epochs a committee has to compute; the commit takes part of the last one
COMMITTEE, QUORUM, ATTEMPTS = 3, 2, 3
FASTEST, SLOWEST = 0.3, 60.0  # seconds between blocks
START_S = 4.0  # five agents check and load the model at once
SLACK = 1.15


@dataclass(frozen=True, slots=True)
class DemoTerms:
    """:param work: epochs; :param block_time: seconds; :param shard_size: tasks"""

    shard_size: int
    work: int
    block_time: float

    @property
    def seconds(self) -> float:
        """From the post to the settlement, about: until the next draw, the work, the reveal."""
        return (self.work + 2) * EPOCH_BLOCKS * self.block_time


def choose_terms(tasks: int, seats: int, task_seconds: float, cores: float, nodes: int, load: float = 0.0) -> DemoTerms:
    """Shards that all start in one epoch, and epochs just enough, and just slow enough, to compute them.

    :param seats: of the whole pool; the market starts at most ``2 * seats / committee`` shards an epoch
    :param task_seconds: one task, as one process of this machine was seen to take
    :param load: processes that wanted a core meanwhile, besides that one
    """
    shards = max(1, min(tasks, 2 * seats // COMMITTEE))
    size = math.ceil(tasks / shards)
    one_share = min(1.0, cores / (load + 1))  # of a core, for the process that was timed
    all_shares = min(float(nodes), float(cores), nodes * cores / (load + nodes))
    compute = tasks * COMMITTEE * task_seconds * one_share / all_shares
    needed = START_S + SLACK * compute
    work = 1 + math.ceil(needed / (EPOCH_BLOCKS * FASTEST))
    work = min(MOST_WORK, max(LEAST_WORK, work))
    block_time = needed / ((work - 1) * EPOCH_BLOCKS)
    return DemoTerms(size, work, round(min(SLOWEST, max(FASTEST, block_time)), 2))


def usable_cores() -> float:
    """Cores this process may use: its affinity, and its control group's quota where there is one."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, max(0.5, int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return cores
