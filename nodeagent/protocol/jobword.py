"""The job's terms as one word: ``JobPosted.word``, and word 0 of a stored job."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .types import AnswerClass, Epoch, JobTerms, Malformed, PoolId, Shard

RARE_WORD_FLAG: Final = 0x80
"""Bit of the class byte: the job also has a word of rare terms (a protocol fee)."""
CASE_FLAG: Final = 0x40
"""Bit of the class byte: the job is a case of the Court."""

_FIELDS: Final = (
    ("task_price", 88),
    ("tasks", 32),
    ("shard_size", 24),
    ("post_epoch", 32),
    ("pace", 16),
    ("pool", 16),
    ("committee", 8),
    ("quorum", 8),
    ("work", 8),
    ("max_attempts", 8),
    ("class_byte", 8),
    ("appeal_epochs", 8),
)


def pack_job_word(terms: JobTerms) -> int:
    """The 256-bit word of ``terms``. Raises ``ValueError`` naming the field that does not fit its width."""
    word = 0
    for name, bits in _FIELDS:
        if name == "class_byte":
            value = int(terms.answer_class)
            value |= (RARE_WORD_FLAG if terms.has_rare_word else 0) | (CASE_FLAG if terms.is_case else 0)
        else:
            value = getattr(terms, name)
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{name} {value} does not fit {bits} bits")
        word = word << bits | value
    return word


def unpack_job_word(word: int) -> JobTerms:
    """The terms in a 256-bit word. Raises :class:`Malformed` for an answer class this version does not know."""
    values: dict[str, int] = {}
    for name, bits in reversed(_FIELDS):
        values[name] = word & ((1 << bits) - 1)
        word >>= bits
    kind = values["class_byte"] & 0x0F
    if kind > max(AnswerClass):
        raise Malformed(f"unknown answer class {kind}", hint="this job was made for a newer version")
    return JobTerms(
        task_price=values["task_price"],
        tasks=values["tasks"],
        shard_size=values["shard_size"],
        post_epoch=Epoch(values["post_epoch"]),
        pace=values["pace"],
        pool=PoolId(values["pool"]),
        committee=values["committee"],
        quorum=values["quorum"],
        work=values["work"],
        max_attempts=values["max_attempts"],
        answer_class=AnswerClass(kind),
        appeal_epochs=values["appeal_epochs"],
        has_rare_word=bool(values["class_byte"] & RARE_WORD_FLAG),
        is_case=bool(values["class_byte"] & CASE_FLAG),
    )


def case_quorum(judges: int) -> int:
    """Equal openings that make a verdict: two thirds of the judges, rounded up."""
    return (2 * judges + 2) // 3


def case_terms(terms: JobTerms, shard: Shard, post_epoch: Epoch, judges: int) -> JobTerms:
    """Terms of the case about one shard of a job, appealed in a block that counts for ``post_epoch``.

    One shard of the same tasks, price, pool and clock, without appeal of its own. Raises ``ValueError`` for a shard
    beyond the job.
    """
    tasks = terms.tasks_in(shard)
    return replace(
        terms,
        tasks=tasks,
        shard_size=tasks,
        post_epoch=post_epoch,
        pace=1,
        committee=judges,
        quorum=case_quorum(judges),
        appeal_epochs=0,
        has_rare_word=False,
        is_case=True,
    )


def case_word(word: int, shard: Shard, post_epoch: Epoch, judges: int) -> int:
    """The word of that case, ``CasePosted.word``, from the word of the appealed job."""
    return pack_job_word(case_terms(unpack_job_word(word), shard, post_epoch, judges))
