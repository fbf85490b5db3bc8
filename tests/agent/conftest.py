"""Every test logs as if nothing were configured: a command logs to a stream that ends with its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("quorate", deadline=None)  # how fast a machine is says nothing about the code
settings.load_profile("quorate")


@pytest.fixture(autouse=True)
def _plain_logging() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
