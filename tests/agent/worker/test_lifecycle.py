"""decide

work      each wanted shard until it is done, given up, sealed, or too late; earliest deadline first
seal      once this epoch's work is done, or at the last safe block; empty when all was passed; never twice an epoch
commit    a batch on disk whose lane is empty, in its own epoch only
reveal    a sealed lane: at once when older; when nothing is to be sealed; joined to the commit (turn) when there is
restart   the same facts give the same actions, whatever happened before
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.worker.lifecycle import (
    Action,
    Clock,
    Commit,
    Compute,
    Duty,
    Facts,
    Lane,
    Resume,
    Reveal,
    Seal,
    State,
    Turn,
    commit_key,
    decide,
    resume_key,
    reveal_key,
    turn_key,
)

EB = 10
E = Epoch(101)
P = Epoch(100)
A, B = (JobId(1), Shard(0)), (JobId(1), Shard(1))


def clock(block: int) -> Clock:
    return Clock(block, EB, margin=2, reveal_depth=2, reveal_grace=8)


def duty(key: tuple[JobId, Shard], commit: Epoch = E, wanted: bool = True) -> Duty:
    return Duty(*key, commit, wanted)


def state(done: tuple = (), batches: tuple = (), flying: tuple = (), given_up: tuple = ()) -> State:
    return State(frozenset(done), frozenset(given_up), frozenset(batches), frozenset(flying))


def kinds(actions: list[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


# --- work ---------------------------------------------------------------------------------------------------------


def test_decide__drawn__computes_until_the_last_safe_block() -> None:
    facts = Facts(duties=(duty(A),))
    assert decide(state(), facts, clock(1011)) == [Compute(*A, 1017)]
    assert Compute(*A, 1017) in decide(state(), facts, clock(1016))
    assert "Compute" not in kinds(decide(state(), facts, clock(1017)))


def test_decide__several_shards__earliest_deadline_first() -> None:
    facts = Facts(duties=(duty((JobId(2), Shard(0)), Epoch(103)), duty(B), duty(A)))
    assert [(a.job, a.shard, a.deadline) for a in decide(state(), facts, clock(1012))] == [
        (1, 0, 1017),
        (1, 1, 1017),
        (2, 0, 1037),
    ]


def test_decide__done_or_given_up_or_unwanted__not_computed() -> None:
    facts = Facts(duties=(duty(A), duty(B), duty((JobId(3), Shard(3)), wanted=False)))
    assert "Compute" not in kinds(decide(state(done=(A,), given_up=(B,)), facts, clock(1012)))


def test_decide__batch_sealed_already__late_work_is_left() -> None:
    facts = Facts(duties=(duty(A), duty(B)), lanes={E: Lane.SEALED})
    assert decide(state(done=(A,), batches=(E,)), facts, clock(1013)) == []


# --- seal and commit ------------------------------------------------------------------------------------------------


def test_decide__all_work_done__seals_and_commits_at_once() -> None:
    facts = Facts(duties=(duty(B), duty(A)))
    assert decide(state(done=(A, B)), facts, clock(1012)) == [Seal(E, (A, B)), Commit(E, 1019)]


def test_decide__work_open__waits_for_the_last_safe_block() -> None:
    facts = Facts(duties=(duty(A), duty(B)))
    assert kinds(decide(state(done=(A,)), facts, clock(1016))) == ["Compute"]
    assert decide(state(done=(A,)), facts, clock(1017)) == [Seal(E, (A,)), Commit(E, 1019)]


def test_decide__passed_on_everything__commits_an_empty_batch() -> None:
    facts = Facts(duties=(duty(A, wanted=False), duty(B)))
    assert decide(state(given_up=(B,)), facts, clock(1012)) == [Seal(E, ()), Commit(E, 1019)]


def test_decide__not_drawn__commits_nothing() -> None:
    assert decide(state(), Facts(), clock(1017)) == []
    assert decide(state(), Facts(duties=(duty(A, Epoch(102)),)), clock(1019)) == [Compute(*A, 1027)]


def test_decide__draws_not_known_yet__nothing_sealed() -> None:
    facts = Facts(draws_known=False, lanes={P: Lane.SEALED})
    assert decide(state(batches=(P,)), facts, clock(1010)) == []


def test_decide__batch_on_disk_and_lane_empty__same_batch_is_sent_again() -> None:
    """After a crash before sending, or a reorganisation that took the commit away, even if the draw changed."""
    facts = Facts(duties=(duty((JobId(9), Shard(9))),))
    assert decide(state(batches=(E,)), facts, clock(1013)) == [Commit(E, 1019)]
    assert decide(state(batches=(E,)), Facts(), clock(1013)) == [Commit(E, 1019)]


def test_decide__commit_in_flight__not_sent_twice() -> None:
    facts = Facts(duties=(duty(A),))
    for key in (commit_key(E), turn_key(E)):
        assert decide(state(done=(A,), batches=(E,), flying=(key,)), facts, clock(1013)) == []


def test_decide__epoch_over_and_commit_never_mined__batch_is_dead() -> None:
    assert decide(state(batches=(P,)), Facts(), clock(1013)) == []


# --- reveal and turn ------------------------------------------------------------------------------------------------


def test_decide__sealed_and_no_work_now__reveals_when_the_commit_is_deep_enough() -> None:
    facts = Facts(lanes={P: Lane.SEALED}, commit_blocks={P: 1009})
    assert decide(state(batches=(P,)), facts, clock(1010)) == []
    assert decide(state(batches=(P,)), facts, clock(1011)) == [Reveal(P, 1089)]


def test_decide__sealed_and_batch_ready__turns() -> None:
    facts = Facts(duties=(duty(A),), lanes={P: Lane.SEALED}, commit_blocks={P: 1005})
    assert decide(state(done=(A,), batches=(P,)), facts, clock(1012)) == [Seal(E, (A,)), Turn(E, 1019)]


def test_decide__sealed_and_work_open__waits_to_turn_but_not_too_long() -> None:
    facts = Facts(duties=(duty(A),), lanes={P: Lane.SEALED}, commit_blocks={P: 1005})
    assert kinds(decide(state(batches=(P,)), facts, clock(1014))) == ["Compute"]
    assert decide(state(batches=(P,)), facts, clock(1017)) == [Seal(E, ()), Turn(E, 1019)]


def test_decide__commit_lost_its_race__reveal_alone_next_epoch() -> None:
    facts = Facts(duties=(duty(A, Epoch(102)),), lanes={P: Lane.SEALED})
    assert Reveal(P, 1089) in decide(state(batches=(P,)), facts, clock(1020))


def test_decide__older_lanes__revealed_at_once_until_their_grace_ends() -> None:
    old = Epoch(93)
    facts = Facts(lanes={old: Lane.SEALED})
    assert decide(state(batches=(old,)), facts, clock(1012)) == [Reveal(old, 1019)]
    assert decide(state(batches=(old,)), facts, clock(1020)) == [], "too late for the contract"


def test_decide__reveal_in_flight__not_sent_twice() -> None:
    facts = Facts(lanes={P: Lane.SEALED}, commit_blocks={P: 1005})
    for key in (reveal_key(P), turn_key(E), commit_key(P)):
        assert decide(state(batches=(P,), flying=(key,)), facts, clock(1013)) == []


def test_decide__turn_half_done__commits_the_other_half() -> None:
    """The reveal counted and the commit did not: the digest is sent alone."""
    facts = Facts(duties=(duty(A),), lanes={P: Lane.OPEN})
    assert decide(state(done=(A,), batches=(P, E)), facts, clock(1014)) == [Commit(E, 1019)]


def test_decide__opened_and_sealed__nothing_left() -> None:
    facts = Facts(duties=(duty(A),), lanes={P: Lane.OPEN, E: Lane.SEALED})
    assert decide(state(done=(A,), batches=(P, E)), facts, clock(1014)) == []


def test_decide__sealed_lane_without_an_opening_on_disk__cannot_be_revealed() -> None:
    """Another installation sealed it: nothing is invented."""
    assert decide(state(), Facts(lanes={P: Lane.SEALED}), clock(1013)) == []


# --- resume -----------------------------------------------------------------------------------------------------------


def test_decide__paused_for_a_fault__resumes_once_an_epoch_unless_told_not_to() -> None:
    assert decide(state(), Facts(paused_for_fault=True), clock(1013)) == [Resume(E)]
    assert decide(state(flying=(resume_key(E),)), Facts(paused_for_fault=True), clock(1013)) == []
    assert decide(state(), Facts(paused_for_fault=True, auto_resume=False), clock(1013)) == []


# --- properties -------------------------------------------------------------------------------------------------------

EPOCHS = [Epoch(e) for e in range(96, 104)]
KEYS = st.sampled_from([(JobId(j), Shard(s)) for j in (1, 2) for s in (0, 1)])
STATES = st.builds(
    State,
    st.frozensets(KEYS),
    st.frozensets(KEYS),
    st.frozensets(st.sampled_from(EPOCHS)),
    st.frozensets(st.sampled_from([f(e) for f in (commit_key, reveal_key, turn_key, resume_key) for e in EPOCHS])),
)
FACTS = st.builds(
    Facts,
    st.lists(st.builds(lambda k, e, w: Duty(*k, e, w), KEYS, st.sampled_from(EPOCHS), st.booleans()), max_size=5).map(
        tuple
    ),
    st.booleans(),
    st.dictionaries(st.sampled_from(EPOCHS), st.sampled_from(Lane)),
    st.dictionaries(st.sampled_from(EPOCHS), st.integers(950, 1040)),
    st.booleans(),
    st.booleans(),
)


@given(STATES, FACTS, st.integers(960, 1040), st.integers(1, 6))
def test_decide__anything__is_total_and_safe(state_: State, facts: Facts, block: int, margin: int) -> None:
    now = Clock(block, EB, margin, 2, 8)
    actions = decide(state_, facts, now)
    assert actions == decide(state_, facts, now), "no hidden memory"
    seals = [a for a in actions if isinstance(a, Seal)]
    assert len(seals) <= 1
    for seal in seals:
        assert seal.epoch == now.epoch and seal.epoch not in state_.batches
        assert facts.lanes.get(seal.epoch, Lane.NONE) is Lane.NONE
        assert list(seal.shards) == sorted(set(seal.shards)) and set(seal.shards) <= state_.done
    on_disk = state_.batches | {s.epoch for s in seals}
    for action in actions:
        if isinstance(action, Commit | Turn):
            assert action.epoch == now.epoch and action.epoch in on_disk
            assert facts.lanes.get(action.epoch, Lane.NONE) is Lane.NONE
        opened = (
            action.epoch
            if isinstance(action, Reveal)
            else Epoch(action.epoch - 1)
            if isinstance(action, Turn)
            else None
        )
        if opened is not None:
            assert facts.lanes.get(opened) is Lane.SEALED and opened in state_.batches
            assert opened < now.epoch <= opened + 8
        if isinstance(action, Compute):
            assert action.deadline > block


@given(STATES, FACTS, st.integers(960, 1040))
def test_decide__sealed_lane_at_the_last_safe_block__always_moves(state_: State, facts: Facts, block: int) -> None:
    """Withholding costs stake: whatever else is true, an openable lane is opened or already on its way."""
    now = clock(block)
    previous = Epoch(now.epoch - 1)
    openable = facts.lanes.get(previous) is Lane.SEALED and previous in state_.batches
    if not openable or block < now.safe(now.epoch) or not facts.draws_known:
        return
    busy = {commit_key(previous), reveal_key(previous), turn_key(previous), turn_key(now.epoch)} & state_.in_flight
    own = {commit_key(now.epoch), reveal_key(now.epoch), turn_key(Epoch(now.epoch + 1))} & state_.in_flight
    moves = [a for a in decide(state_, facts, now) if isinstance(a, Reveal | Turn)]
    assert (
        busy
        or own
        or any(
            (isinstance(a, Reveal) and a.epoch == previous) or (isinstance(a, Turn) and a.epoch == now.epoch)
            for a in moves
        )
    )
