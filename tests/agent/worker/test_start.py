"""What a node says of itself when it starts."""

from __future__ import annotations

import pytest

from nodeagent.worker.start import out_of_reach


@pytest.mark.parametrize(
    ("url", "rpc", "complains"),
    [
        ("http://127.0.0.1:4001", "http://127.0.0.1:8545", False),
        ("http://[::1]:4001", "http://localhost:8545", False),
        ("http://127.0.0.1:4001", "https://rpc.example.org", True),
        ("http://localhost:4001", "http://10.0.0.7:8545", True),
        ("https://node.example.org", "https://rpc.example.org", False),
    ],
)
def test_out_of_reach__own_address_and_the_chains__only_a_loopback_one_for_a_chain_elsewhere(
    url: str, rpc: str, complains: bool
) -> None:
    assert (out_of_reach(url, rpc) is not None) is complains
