"""Amounts as an operator types them."""

from __future__ import annotations

import click
import pytest

from nodeagent.cli.node_common import token_units


@pytest.mark.parametrize(("typed", "units"), [("50", 50_000_000), ("0", 0), ("1.25", 1_250_000), ("0.000001", 1)])
def test_token_units__whole_tokens__smallest_units(typed: str, units: int) -> None:
    assert token_units(typed, 6) == units


@pytest.mark.parametrize("typed", ["", "x", "-1", "nan", "inf", "0.0000001"])
def test_token_units__no_amount__usage_error(typed: str) -> None:
    with pytest.raises(click.UsageError, match="at most 6 decimals"):
        token_units(typed, 6)
