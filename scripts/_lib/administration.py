"""One administrative change at a time: say what is meant, simulate, ask, send, read back.

Every change is idempotent: what is already so is said and not sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts._lib.chain import Deployed, Sender
from scripts._lib.errors import ScriptError
from scripts._lib.readback import pool_terms
from scripts._lib.roles import ADMIN, ROLE_IDS, Holders, holders
from scripts._lib.session import Session, confirm

Say = Callable[[str], None]


class Admin:
    """An administrator's session on a recorded deployment."""

    def __init__(self, session: Session, alias: str | None, yes: bool, say: Say) -> None:
        self.session = session
        self.record = session.record()
        self.contracts = session.contracts(self.record)
        self.say = say
        self._alias, self._yes = alias, yes
        self._sender: Sender | None = None

    @property
    def sender(self) -> Sender:
        if self._sender is None:
            self._sender = self.session.sender(self._alias, self._yes)
        return self._sender

    def change(self, intent: str, contract: str, function: str, *args: Any, check: Callable[[], str | None]) -> bool:
        """Sends one call unless ``check`` is satisfied before. Returns whether something was sent.

        ``check`` reads the chain and returns what is not as meant, or None. Raises ScriptError when the simulation
        reverts or the read-back differs.
        """
        if check() is None:
            self.say(f"nothing to do: already so ({intent})")
            return False
        target = self.contracts[contract]
        data = target.interface.encode(function, *args)
        self.say(f"intent: {intent}")
        self.say(f"  {contract}.{function}({', '.join(map(_word, args))}) at {target.address}")
        self.say(f"  chain {self.session.chain.chain_id}, from {self.sender.address}")
        if not self._may_call_now(target, function, data):
            return False
        self.sender.simulate(target.address, data)
        self.say("  simulated: it would succeed")
        confirm("send it?", self._yes)
        receipt = self.sender.transact(target.address, data)
        problem = check()
        if problem is not None:
            raise ScriptError(
                f"sent in {receipt.tx}, but read back: {problem}", hint="look at the transaction before you go on"
            )
        self.say(f"  done in block {receipt.block}, {receipt.gas:,} gas ({receipt.tx}); read back equal")
        return True

    def _may_call_now(self, target: Deployed, function: str, data: bytes) -> bool:
        """True if the call can go out now. With an execution delay it is scheduled first, and this says when."""
        authority = self.contracts["AccessManager"]
        delay = self._delay(authority, target, function)
        if delay == 0:
            return True
        operation = authority.read("hashOperation", self.sender.address, target.address, data)
        ready = int(authority.read("getSchedule", operation))
        now = int(self.session.chain.block("latest")["timestamp"], 16)
        if ready == 0:
            call = authority.interface.encode("schedule", target.address, data, 0)
            self.sender.simulate(authority.address, call)
            confirm(f"this needs {delay} s of notice; announce it now?", self._yes)
            receipt = self.sender.transact(authority.address, call)
            ready = int(authority.read("getSchedule", operation))
            if ready == 0:
                raise ScriptError(f"sent in {receipt.tx}, but read back: it is not scheduled")
            self.say(f"  announced in {receipt.tx}")
        if now < ready:
            self.say(f"  not yet: run the same command again in {ready - now} s (from unix time {ready})")
            return False
        return True

    def _delay(self, authority: Deployed, target: Deployed, function: str) -> int:
        """Seconds of notice that the sender's role asks for; 0 also when he may not call at all."""
        if target.address != authority.address:
            access = authority.read("canCall", self.sender.address, target.address, target.interface.selector(function))
            return 0 if access["immediate"] else int(access["delay"])
        if function == "renounceRole":
            return 0
        return int(authority.read("hasRole", ADMIN, self.sender.address)["executionDelay"])

    # --- roles -------------------------------------------------------------------------------------------------------

    def holders(self) -> Holders:
        return holders(self.session.chain, self.contracts["AccessManager"], self.record.startBlock)

    def remember_roles(self) -> None:
        """Writes the roles as they stand into the record: the next deploy run compares with them."""
        self.record.roles = self.holders()
        self.session.store.save(self.record)

    def grant(self, role: str, account: str, delay: int) -> bool:
        """Gives a role; with a grant delay it is held at once and usable later (``is_active``)."""
        authority = self.contracts["AccessManager"]

        def check() -> str | None:
            access = authority.read("getAccess", ROLE_IDS[role], account)
            if access["since"] == 0:
                return f"{account} does not hold {role}"
            return None if access["currentDelay"] == delay else f"its delay is {access['currentDelay']} s"

        return self.change(
            f"{account} gets {role}, execution delay {delay} s",
            "AccessManager",
            "grantRole",
            ROLE_IDS[role],
            account,
            delay,
            check=check,
        )

    def revoke(self, role: str, account: str) -> bool:
        """Takes a role away. Refuses to take the last ADMIN's."""
        if ROLE_IDS[role] == ADMIN and set(self.holders()["ADMIN"]) <= {account}:
            raise ScriptError(
                f"{account} is the only ADMIN: nobody could ever grant a role again",
                hint="grant ADMIN to another first",
            )
        return self.change(
            f"{account} loses {role}",
            "AccessManager",
            "revokeRole",
            ROLE_IDS[role],
            account,
            check=lambda: self._holds(role, account),
        )

    def renounce(self, role: str) -> bool:
        """Gives up the sender's own role."""
        account = self.sender.address
        return self.change(
            f"{account} gives up {role}",
            "AccessManager",
            "renounceRole",
            ROLE_IDS[role],
            account,
            check=lambda: self._holds(role, account),
        )

    def is_active(self, role: str, account: str) -> bool:
        """Whether the account can use the role now (a grant delay may hold it back)."""
        return bool(self.contracts["AccessManager"].read("hasRole", ROLE_IDS[role], account)["isMember"])

    def _holds(self, role: str, account: str) -> str | None:
        since = self.contracts["AccessManager"].read("getAccess", ROLE_IDS[role], account)["since"]
        return f"{account} still holds {role}" if since != 0 else None

    # --- pools, fees, pause ------------------------------------------------------------------------------------------

    def pool_terms(self, pool: int) -> dict[str, Any] | None:
        """Terms of a pool, or None when it does not exist."""
        return pool_terms(self.contracts["NodeRegistry"], pool)

    def pool_number(self, name: str) -> int:
        """The id of a recorded pool. Raises ScriptError with the names there are."""
        if name not in self.record.pools:
            raise ScriptError(
                f"no pool {name!r} is recorded (found: {', '.join(self.record.pools)})",
                hint="`ape run admin pool create` makes one",
            )
        return self.record.pools[name]

    def check_terms(self, pool: int, wanted: dict[str, Any]) -> str | None:
        terms = self.pool_terms(pool)
        if terms is None:
            return f"pool {pool} does not exist"
        wrong = [f"{name} is {terms[name]}, meant {value}" for name, value in wanted.items() if terms[name] != value]
        return "; ".join(wrong) or None

    def check_paused(self, contract: str, wanted: bool) -> str | None:
        paused = bool(self.contracts[contract].read("paused"))
        return None if paused == wanted else f"{contract} is {'paused' if paused else 'not paused'}"


def _word(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
