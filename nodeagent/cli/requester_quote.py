"""``quorate quote``, and the options and words that ``job post`` shares with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nodeagent.cli.common import WholeNumber, print_json, say, whole
from nodeagent.cli.requester_common import Session, seconds_text
from nodeagent.cli.requester_inputs import how_of, input_options, tell_skipped

if TYPE_CHECKING:
    from nodeagent.client.gathering import Gathered, How
    from nodeagent.client.plan import JobPlan
    from nodeagent.client.quote import JobTerms, MarketFacts, Quote
    from nodeagent.runtimes.types import ModelFacts

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TermOptions:
    """The terms as they were given."""

    pool: str
    shard_size: int
    committee: int
    quorum: int | None
    pace: int
    work: int
    attempts: int
    appeal_epochs: str
    units: str
    unit_price: str | None
    max_price: str | None


def term_options(command: F) -> F:
    """The options that say how a job is computed and paid."""
    for option in reversed(
        (
            click.option("--pool", default="1", show_default=True, help="number or name of the pool"),
            click.option(
                "--shard-size", default=64, show_default=True, type=click.IntRange(1), help="tasks in a shard"
            ),
            click.option("--committee", default=3, show_default=True, help="nodes that compute each shard"),
            click.option("--quorum", type=int, help="equal answers that settle it (default: a majority)"),
            click.option("--pace", default=0, help="shards that start per epoch (default: the pool's bound)"),
            click.option("--work", default=1, show_default=True, help="epochs a committee has to compute"),
            click.option("--attempts", default=3, show_default=True, help="committees drawn before giving up"),
            click.option(
                "--appeal-epochs",
                default="auto",
                show_default=True,
                help="window for appeals, 0 for none; auto: 6 + work, none if the pool is too small for judges",
            ),
            click.option("--units", default="auto", show_default=True, help="millions of operations a task"),
            click.option("--unit-price", help="payment tokens a unit and member (default: the pool's floor)"),
            click.option("--max-price", help="most payment tokens the job may cost in all"),
        )
    ):
        command = option(command)
    return command


def options_of(given: dict[str, Any]) -> TermOptions:
    """Takes the term options out of a command's keyword arguments."""
    return TermOptions(**{name: given.pop(name) for name in TermOptions.__dataclass_fields__})


def read_job(session: Session, model: Path, inputs: Path, how: How) -> tuple[ModelFacts, Gathered]:
    """Looks into model and inputs; the model is opened by the Executor's process alone."""
    from nodeagent.client.gathering import gather
    from nodeagent.client.plan import check_model, inspecting

    with inspecting(session.home, session.runtimes) as executor:
        gathered = gather(inputs, executor.inspect(model).inputs, how)
        tell_skipped(gathered)
        facts = executor.inspect(model, {s.name: s.shape for s in gathered.inputs.specs()})
    check_model(facts, gathered.inputs)
    return facts, gathered


def make_quote(session: Session, options: TermOptions, tasks: int, needs: int) -> Quote:
    """The quote for these terms. Raises BadTerms, also when it is over ``--max-price``."""
    from nodeagent.client.facts import read_facts
    from nodeagent.client.quote import BadTerms, JobTerms

    pool = session.deployment.pool_id(options.pool)
    facts = read_facts(session.rpc, session.deployment, pool)
    floor = max(1, facts.floor)  # a market does not take jobs for nothing
    price = floor if options.unit_price is None else session.units_of(options.unit_price, "--unit-price")
    made = quoted(
        JobTerms(
            pool=pool,
            tasks=tasks,
            shard_size=options.shard_size,
            committee=options.committee,
            quorum=options.committee // 2 + 1 if options.quorum is None else options.quorum,
            pace=options.pace,
            work=options.work,
            attempts=options.attempts,
            appeal_epochs=None if options.appeal_epochs == "auto" else _epochs(options.appeal_epochs),
            units=needs if options.units == "auto" else _whole(options.units),
            unit_price=price,
        ),
        facts,
    )
    if options.max_price is not None and made.escrow > session.units_of(options.max_price, "--max-price"):
        raise BadTerms(
            f"the job costs {session.money(made.escrow)}: --max-price allows {options.max_price}",
            hint="use a smaller --committee or --unit-price, or raise --max-price",
        )
    return made


def quoted(terms: JobTerms, facts: MarketFacts) -> Quote:
    """The quote. Raises BadTerms; where only the asked window for appeals is too long, it names the longest one."""
    from nodeagent.client.quote import BadTerms, check_terms, quote

    def allowed(window: int) -> bool:
        try:
            check_terms(replace(terms, appeal_epochs=window), facts)
        except BadTerms:
            return False
        return True

    try:
        return quote(terms, facts)
    except BadTerms as fault:
        most = next(filter(allowed, range((terms.appeal_epochs or 0) - 1, 0, -1)), None)
        if most is None:
            raise
        hint = f"use at most --appeal-epochs {most}, or fewer --attempts or --work epochs"
        raise BadTerms(fault.message, hint=hint) from None


def _whole(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise click.UsageError(f"--units {text!r} is neither auto nor a whole number of at least 1")
    return int(text)


def _epochs(text: str) -> int:
    if not text.isdigit() or int(text) > 255:
        raise click.UsageError(f"--appeal-epochs {text!r} is neither auto nor a whole number up to 255")
    return int(text)


def show_quote(session: Session, made: Quote, plan: JobPlan | None = None) -> None:
    """The quote in words, to stderr."""
    terms, stake = made.terms, session.doors.stake_token.describe()
    if plan is not None:
        say(f"manifest  {plan.cid}")
    say(
        f"job       {terms.tasks} tasks in {terms.shards} shards of {terms.shard_size}, {terms.units} M operations each"
    )
    say(f"answer    {terms.committee} nodes compute each shard, {terms.quorum} equal answers settle it")
    say(
        f"price     {session.money(made.escrow)} in escrow: members {session.money(made.members)}, "
        f"settling {session.money(made.settle_fee)}, protocol {session.money(made.protocol_fee)}; "
        "what is not earned comes back"
    )
    say(
        f"time      {made.epochs} epochs, about {seconds_text(made.seconds)}, if first attempts succeed; "
        f"at most {made.epochs_at_most} epochs; {made.pace} shards start per epoch"
    )
    if made.appeal_epochs:
        say(
            f"appeal    {made.appeal_epochs} epochs from settlement, then final; an appeal of a shard costs a bond of "
            f"{session.money(made.bond)} at most"
        )
    else:
        say("appeal    none: results are final when they settle, and a wrong majority is not punished")
    say(f"pool      {made.nodes} nodes, {made.seats} seats")
    for row in made.odds:
        stays = f", stays wrong {row.final:.2g}, its court is captured {row.captured:.2g}" if made.appeal_epochs else ""
        say(
            f"odds      dishonest: {row.who} ({row.share:.1%}): "
            f"a shard is wrong {row.shard:.2g}{stays}, any {row.job:.2g}"
        )
    say(
        f"corrupt   an even chance at one shard costs {made.corrupt_seats} seats on new nodes, "
        f"a stake of {whole(made.corrupt_stake, stake[1])} {stake[0]}"
    )


@click.command("quote")
@click.option("--model", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="ONNX model")
@input_options(required=False)
@click.option("--tasks", type=WholeNumber(1), help="instead of files: the number of tasks")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@term_options
@click.pass_obj
def quote_command(
    session: Session,
    /,
    model: Path | None,
    inputs: Path | None,
    tasks: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Cost, time and odds of a job. Needs --model and --inputs, or --tasks and --units."""
    options, how = options_of(given), how_of(given)
    if tasks is None:
        if model is None or inputs is None:
            raise click.UsageError("give --model and --inputs, or --tasks and --units")
        facts, gathered = read_job(session, model, inputs, how)
        count, needs = gathered.inputs.tasks, facts.units
    else:
        if options.units == "auto":
            raise click.UsageError("--tasks needs --units: there is no model to count")
        count, needs = tasks, 0
    made = make_quote(session, options, count, needs)
    if as_json:
        print_json(asdict(made))
        return
    show_quote(session, made)
