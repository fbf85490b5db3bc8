"""Terms that the market would refuse: the hint names the option that is at fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodeagent.cli.requester_quote import quoted
from nodeagent.client.quote import BadTerms, Seating
from tests.agent.client import facts

FACTS = replace(facts.FACTS, judges=5, list_length=36, seating=tuple(Seating(n, f"0x{n:040x}", 4) for n in range(9)))
TERMS = replace(facts.TERMS, appeal_epochs=200)


def test_quoted__window_too_long_for_the_ring__says_how_long_it_may_be() -> None:
    with pytest.raises(BadTerms, match="the job could take 238 epochs: expected less than 128") as refused:
        quoted(TERMS, FACTS)
    assert refused.value.hint == "use at most --appeal-epochs 89, or fewer --attempts or --work epochs"
    assert quoted(replace(TERMS, appeal_epochs=89), FACTS).appeal_epochs == 89


def test_quoted__something_else_is_at_fault__its_own_hint_stays() -> None:
    with pytest.raises(BadTerms, match="2 too few") as refused:
        quoted(TERMS, replace(FACTS, seating=FACTS.seating[:6]))
    assert "--appeal-epochs 0" in str(refused.value.hint) and "at most" not in str(refused.value.hint)
    with pytest.raises(BadTerms, match="the job could take") as refused:
        quoted(replace(TERMS, appeal_epochs=None), replace(FACTS, ring=40))
    assert refused.value.hint == "use fewer --attempts or --work epochs"
