"""One devnet of five agents for every test that does not need its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.support.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("devnet") / "net"
    made: World | None = None
    try:
        made = World(home)
        yield made
    finally:
        if made is not None:
            made.devnet.down()
