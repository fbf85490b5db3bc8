"""Posting: find the job if this call made it before, else pay for it once.

Order of memory: the state file names the transaction before it leaves, the chain names the job after. An
interruption anywhere between leads back to the same job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nodeagent.chain.decoding import decode_log
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Call, Doors
from nodeagent.chain.errors import Reverted
from nodeagent.chain.events import JobPosted
from nodeagent.chain.rpc import Rpc
from nodeagent.client.facts import spec_of
from nodeagent.client.history import announced_endpoint, find_job, find_jobs
from nodeagent.client.jobstate import JobState, JobStates
from nodeagent.client.quote import Quote
from nodeagent.client.wallet import Sent, Wallet
from nodeagent.errors import Fatal, JobFault
from nodeagent.protocol.epochs import closable_from, epoch_of

PERMIT_S = 3600


class CannotPay(Fatal):
    """The account does not hold what the job costs, in tokens or in gas money."""


class OtherTerms(JobFault):
    """A job with this manifest runs already, on other terms."""


@dataclass(frozen=True, slots=True)
class Posted:
    """:param attached: whether the job was there before this call"""

    job: JobPosted
    attached: bool
    sent: tuple[Sent, ...] = ()


class Poster:
    """Posts for one account. ``say`` is told what happens, in sentences."""

    def __init__(
        self, rpc: Rpc, deployment: Deployment, wallet: Wallet, states: JobStates, say: Callable[[str], None]
    ) -> None:
        self._rpc, self._deployment, self._wallet, self._states, self._say = (
            rpc,
            deployment,
            wallet,
            states,
            say,
        )
        self._doors = Doors.of(rpc, deployment)

    def attach(self, state: JobState, quote: Quote) -> JobPosted | None:
        """The job this manifest already became, or None.

        :raises OtherTerms: it runs on other terms than the quote's
        :raises NotMined: its post was sent and is still not in a block
        """
        found = self._from_state(state) or self._running(state)
        if found is None:
            return None
        differs = _difference(found, quote)
        if differs:
            raise OtherTerms(
                f"job {found.job} with this manifest was already posted, with {differs}",
                hint="repeat its terms to attach to it, or add --new to post another job",
            )
        self._states.save(replace(state, job=int(found.job)))
        return found

    def post(self, state: JobState, quote: Quote, *, use_permit: bool = True) -> Posted:
        """Pays the escrow and posts.

        :raises CannotPay: the balance is too small
        :raises Reverted: a contract refuses; nothing was paid
        :raises NotMined: it was sent and is not in a block yet; the state remembers it
        """
        self._check_balance(quote.escrow)
        spec = self._spec(state, quote)
        sent: list[Sent] = []
        call = self._permit_call(spec, quote.escrow) if use_permit else None
        if call is None:
            sent.extend(self._approve(quote.escrow))
            call = self._doors.market.post(spec)
        done = self._wallet.send(call, announce=lambda tx: self._states.save(replace(state, tx=tx)))
        sent.append(done)
        posted = _posted_in(done)
        if posted is None:
            raise Fatal(f"transaction {done.tx} succeeded without posting a job", hint="check the deployment record")
        self._states.save(replace(state, tx=done.tx, job=int(posted.job)))
        return Posted(posted, attached=False, sent=tuple(sent))

    # --- inside ---------------------------------------------------------------------------------------------

    def _from_state(self, state: JobState) -> JobPosted | None:
        if state.job is not None:
            posted = find_job(self._rpc, self._deployment, state.job)
            return posted if posted.manifest.hex() == state.manifest else None
        if state.tx is not None:
            self._say(f"an earlier run sent {state.tx}; looking for it")
            done = self._wallet.wait(state.tx, "post")
            return _posted_in(done) if done else None
        return None

    def _running(self, state: JobState) -> JobPosted | None:
        """The newest own job with this manifest that cannot be closed yet."""
        now = epoch_of(self._rpc.block_number(), self._deployment.epoch_blocks)
        ours = find_jobs(self._rpc, self._deployment, self._wallet.address)
        for posted in reversed(ours):
            until = closable_from(posted.terms, self._deployment.settle_grace, self._deployment.report_epochs)
            if posted.manifest.hex() == state.manifest and now < until:
                return posted
        return None

    def _spec(self, state: JobState, quote: Quote) -> dict[str, object]:
        terms = quote.terms
        return spec_of(
            pool=terms.pool,
            tasks=terms.tasks,
            shard_size=terms.shard_size,
            unit_price=terms.unit_price,
            pace=quote.pace,
            committee=terms.committee,
            quorum=terms.quorum,
            work=terms.work,
            attempts=terms.attempts,
            appeal_epochs=quote.appeal_epochs,
            units=terms.units,
            manifest=bytes.fromhex(state.manifest),
        )

    def _check_balance(self, escrow: int) -> None:
        address = self._wallet.address
        symbol, decimals = self._doors.payment_token.describe()
        held = self._doors.payment_token.balance_of(address)
        if held < escrow:
            raise CannotPay(
                f"{address} holds {held / 10**decimals:g} {symbol}: the job needs {escrow / 10**decimals:g}",
                hint=f"send {symbol} to it",
            )
        if self._rpc.balance(address) == 0:
            raise CannotPay(f"{address} has no money for gas", hint="send the chain's own currency to it")

    def _permit_call(self, spec: dict[str, object], escrow: int) -> Call | None:
        """``postWithPermit``, or None where the token knows no permit."""
        deadline = int(self._rpc.block("latest")["timestamp"], 16) + PERMIT_S
        token, market = self._doors.payment_token, self._doors.market
        try:
            message = token.permit_message(
                self._deployment.chain_id, self._wallet.address, market.address, escrow, deadline
            )
        except (Reverted, ValueError):
            return None
        return market.post_with_permit(spec, deadline, *self._wallet.sign_typed(message))

    def _approve(self, escrow: int) -> list[Sent]:
        token, market = self._doors.payment_token, self._doors.market.address
        if token.allowance(self._wallet.address, market) >= escrow:
            return []
        return [self._wallet.send(token.call("approve", market, escrow))]


def _posted_in(sent: Sent) -> JobPosted | None:
    for log in sent.logs:
        event = decode_log(log)
        if isinstance(event, JobPosted):
            return event
    return None


def _difference(posted: JobPosted, quote: Quote) -> str:
    """The first of the terms in which a posted job is not what was quoted; price and pace may have moved."""
    terms, asked = posted.terms, quote.terms
    for name, old, new in (
        ("pool", terms.pool, asked.pool),
        ("committee", terms.committee, asked.committee),
        ("quorum", terms.quorum, asked.quorum),
        ("work", terms.work, asked.work),
        ("attempts", terms.max_attempts, asked.attempts),
        ("appeal epochs", terms.appeal_epochs, quote.appeal_epochs),
        ("shard size", terms.shard_size, asked.shard_size),
        ("units", posted.units, asked.units),
    ):
        if old != new:
            return f"{name} {old} instead of {new}"
    return ""


def announce(rpc: Rpc, deployment: Deployment, wallet: Wallet, endpoint: str) -> Sent | None:
    """Publishes where this account's content is served, unless the chain already says so."""
    if announced_endpoint(rpc, deployment, wallet.address) == endpoint:
        return None
    return wallet.send(Doors.of(rpc, deployment).market.call("announce", endpoint))
