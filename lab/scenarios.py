"""The attacks, each with the pool it is tried on. Nine agents or more; who is not named is honest."""

from __future__ import annotations

from lab.expected import HONEST, LIAR, MUTE
from lab.scenario import HONEST_AGENT, NOBODY, Basis, Role, Scenario, UnknownScenario

TWO_EACH = (2,) * 9
WINDOW = 4  # epochs in which a result can be appealed
SILENT = {"appeal": "off"}
AGENTS = "lab.agents."


def _role(kind: str, agents: tuple[int, ...], camp: str = MUTE, **orders: object) -> Role:
    return Role(kind, AGENTS + kind, agents, orders, SILENT, camp)


def _cartel(name: str, size: int, about: str, basis: Basis, judge: str, pace: int, epochs: int) -> Scenario:
    return Scenario(
        name,
        about,
        TWO_EACH,
        (_role("cartel", tuple(range(1, size + 1)), LIAR, judge=judge),),
        basis,
        WINDOW,
        pace,
        epochs,
        judge == "sign",
        "restock",
    )


SCENARIOS = (
    Scenario("lazy", "two nodes answer at random", TWO_EACH, (_role("lazy", (1, 2)),)),
    Scenario("withholder", "two nodes never open what they sealed", TWO_EACH, (_role("withholder", (1, 2)),)),
    Scenario("ghost", "two nodes hold seats and are offline", TWO_EACH, (Role("ghost", NOBODY, (1, 2)),)),
    Scenario("copier", "two nodes wait for others' answers and commit late", TWO_EACH, (_role("copier", (1, 2)),)),
    Scenario(
        "enumerator",
        "two nodes try to sell several answers to one question",
        TWO_EACH,
        (
            Role("enumerator", AGENTS + "enumerator", (1,), {"way": "leaves"}, SILENT),
            Role("enumerator", AGENTS + "enumerator", (2,), {"way": "roots"}, SILENT),
        ),
    ),
    Scenario(
        "flip-flopper",
        "two nodes are wrong on every third task",
        TWO_EACH,
        (_role("flipflopper", (1, 2), every=3),),
    ),
    _cartel("cartel-below", 2, "two of nine sign one wrong root", Basis.HONEST, "sign", 6, 8),
    _cartel("cartel-above", 6, "six of nine sign one wrong root, also as judges", Basis.ABOVE, "sign", 3, 8),
    _cartel("case-staller", 4, "four of nine sign wrong and, as judges, block the verdict", Basis.HONEST, "pass", 3, 8),
    Scenario(
        "false-accuser",
        "one node appeals right answers",
        TWO_EACH,
        (Role("accuser", AGENTS + "accuser", (1,), {"every": 4}, camp=HONEST),),
        appeal_epochs=WINDOW,
        pace=4,
        epochs=6,
    ),
    Scenario(
        "sybil",
        "four seats on four nodes, against honest nodes of two",
        (1, 1, 1, 1, 2, 2, 2, 2, 2),
        (Role("sybil", HONEST_AGENT, (1, 2, 3, 4), camp=HONEST),),
        Basis.DRAWS,
        pace=6,
        epochs=12,
    ),
    Scenario(
        "hole-maker",
        "two nodes stake four seats each and leave them: the list is full of holes",
        (4, 4, 2, 2, 2, 2, 2, 2, 2, 2),
        (Role("hole-maker", HONEST_AGENT, (1, 2), camp=HONEST),),
        hands="leave",
    ),
    Scenario(
        "censor",
        "two nodes outbid the others to settle, and leave members out",
        TWO_EACH,
        (Role("censor", AGENTS + "censor", (1, 2), {}, {**SILENT, "tip_gwei": 2.0}, HONEST),),
        Basis.OWN,
    ),
    Scenario(
        "griefing-requester",
        "a requester posts what nobody can fetch, no model, too few units, and closes early",
        TWO_EACH,
        (),
        hands="grief",
    ),
)


def find(name: str) -> Scenario:
    """A scenario by its name. Raises UnknownScenario."""
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    raise UnknownScenario(f"there is no scenario {name!r}", hint="quorate lab --list names them")
