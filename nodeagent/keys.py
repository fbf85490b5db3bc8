"""Keys on disk: encrypted keystores (Web3 Secret Storage v3) and nothing else. No function here logs or prints one."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeagent.errors import Fatal

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PASSWORD_VARIABLE = "NODEAGENT_PASSWORD_FILE"  # noqa: S105 - the name of a variable
SCRYPT = {"standard": 1 << 18, "light": 1 << 12}  # light: for keys that only ever hold a devnet's money


class BadKey(Fatal):
    """No keystore, an unreadable one, or a wrong password."""


def create_keystore(path: Path, password: str, *, cost: str = "standard", key: bytes | None = None) -> str:
    """Writes a fresh key (or ``key``, 32 bytes) encrypted, readable by this user only; returns its address.

    ``cost`` is one of SCRYPT. Raises BadKey when there already is a file or the password is empty.
    """
    from eth_account import Account

    if not password:
        raise BadKey("the password is empty", hint="it protects the key on disk: choose one")
    account = Account.from_key(key) if key else Account.create()
    text = json.dumps(Account.encrypt(account.key, password, kdf="scrypt", iterations=SCRYPT[cost]), indent=1)
    write_secret(path, text)
    return str(account.address)


def write_secret(path: Path, text: str) -> None:
    """Writes a new file that only this user can read, synced. Raises BadKey when it exists."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadKey(f"{path} already exists", hint="it is never overwritten; move it away first") from None
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def keystore_address(path: Path) -> str:
    """The checksummed address, without the password. Raises BadKey."""
    from nodeagent.chain.deployment import checksum

    return checksum(str(_read(path)["address"]))


def open_keystore(path: Path, password: str) -> LocalAccount:
    """The account. Raises BadKey."""
    from eth_account import Account

    found = _read(path)
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(found, password))
    except ValueError:
        hint = f"pass --password-file or set {PASSWORD_VARIABLE}"
        raise BadKey(f"the password does not open {path}", hint=hint) from None
    return account


def read_password(file: Path | None, fallback: Path | None = None) -> str | None:
    """From ``file``, the file named by NODEAGENT_PASSWORD_FILE, or ``fallback`` if it exists; None without any.

    Raises BadKey when a named file cannot be read.
    """
    told = file or (Path(os.environ[PASSWORD_VARIABLE]) if os.environ.get(PASSWORD_VARIABLE) else None)
    if told is None:
        told = fallback if fallback is not None and fallback.exists() else None
    if told is None:
        return None
    try:
        return told.read_text("utf-8").rstrip("\r\n")
    except OSError as fault:
        raise BadKey(f"cannot read the password file {told}: {fault.strerror}") from None


def fresh_password() -> str:
    """A random password of 160 bits."""
    return secrets.token_urlsafe(20)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadKey(f"there is no keystore at {path}", hint="make one with: nodeagent init") from None
    except (OSError, ValueError) as fault:
        raise BadKey(f"{path} cannot be read: {fault}") from None
    if not isinstance(found, dict) or "address" not in found:
        raise BadKey(f"{path} is not a keystore")
    return found
