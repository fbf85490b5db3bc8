"""What can go wrong with content, by what the caller does about it.

::

    Transient                        another source, or a later try, may have the bytes
    └── ContentUnavailable
        ├── BlockMissing             this store does not hold the block
        ├── WrongBytes               bytes offered for a CID do not hash to it; they were dropped
        ├── FetchCancelled           the caller asked to stop
        ├── AllSourcesFailed         every source failed; carries one SourceFailure per source
        ├── KuboUnavailable          the daemon cannot be reached or refused
        │   └── KuboTimeout          the daemon did not answer in time
        └── SourceFailure            one source could not give one block
            ├── SourceUnreachable    bad address, refused, reset, TLS failure
            ├── SourceStalled        no progress, or slower than the minimum rate
            ├── SourceLacksBlock     404 or 410
            ├── SourceSentWrongBytes not the bytes the CID names
            ├── SourceSentTooMuch    more bytes than a block may have
            └── SourceAnsweredBadly  redirect, encoding, or a status that is no block
    JobFault                         the address or the content itself is at fault
    └── ContentFault
        ├── BadCid                   not a CIDv1 of a kind this network uses
        ├── MalformedBlock           right hash, but not a canonical UnixFS node of a file or directory
        ├── NotAFolder               a file, where a folder was asked for
        ├── MalformedCar             no CAR v1, or one with blocks this network does not use
        ├── BudgetExceeded           more bytes, levels or blocks than the caller allows
        └── UnreadableFile           the file or folder to add cannot be read, or holds what cannot be added
    Fatal                            a person must act
    ├── StoreFailed                  the disk refuses: full, not permitted, not a folder
    ├── TargetInUse                  something is where a folder is to be written
    ├── KuboDisagrees                the daemon builds another CID, or its address is no address
    └── GatewayFailed                the gateway cannot listen where it was told to
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeagent.errors import Fatal, JobFault, Transient


class ContentUnavailable(Transient):
    """The bytes cannot be had now."""


class StoreFull(Transient):
    """``size`` more bytes would take a store that holds ``taken`` over its ``limit``, and all of it is needed."""

    def __init__(self, limit: int, taken: int, size: int) -> None:
        super().__init__(
            f"the content store holds {taken} bytes of files that are needed, {size} more are over its {limit}",
            hint="raise content_max_bytes, or unpin what is not needed: content ls",
        )
        self.limit, self.taken, self.size = limit, taken, size


class BlockMissing(ContentUnavailable):
    """``cid`` (text form) is not in the store that was asked."""

    def __init__(self, cid: str, where: str = "the local store") -> None:
        super().__init__(f"block {cid} is not in {where}", hint="fetch it from another node")
        self.cid = cid


class WrongBytes(ContentUnavailable):
    """Bytes offered as ``cid`` have another sha256."""

    def __init__(self, cid: str, found: str) -> None:
        super().__init__(f"bytes offered as {cid} hash to {found}; they were dropped")
        self.cid, self.found = cid, found


class FetchCancelled(ContentUnavailable):
    """The caller's ``cancel`` said stop; blocks already stored stay valid."""


class SourceFailure(ContentUnavailable):
    """``source`` (a base URL) failed to give a block, for ``reason``."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source, self.reason = source, reason


class SourceUnreachable(SourceFailure):
    """Bad address, connection refused or reset, name unknown, TLS failure."""


class SourceStalled(SourceFailure):
    """No bytes within the deadline, or fewer per second than the minimum rate."""


class SourceLacksBlock(SourceFailure):
    """The source says that it does not hold the block (404, 410)."""


class SourceSentWrongBytes(SourceFailure):
    """The answer does not hash to the CID."""


class SourceSentTooMuch(SourceFailure):
    """The answer is larger than a block may be."""


class SourceAnsweredBadly(SourceFailure):
    """A redirect, a content encoding, a short body or a status that is no block."""


class SourceServesNone(SourceAnsweredBadly):
    """The source does not give content in the form that was asked for, whatever it holds."""


class AllSourcesFailed(ContentUnavailable):
    """No source gave ``cid``; ``failures`` holds the last failure of each."""

    def __init__(self, cid: str, failures: Sequence[SourceFailure]) -> None:
        told = "; ".join(f"{f.source}: {f.reason}" for f in failures)
        super().__init__(
            f"block {cid} could not be fetched from any of {len(failures)} source(s): {told or 'none was given'}",
            hint="try again later or name another source",
        )
        self.cid, self.failures = cid, tuple(failures)


class KuboUnavailable(ContentUnavailable):
    """The Kubo daemon cannot be reached, or refused the request."""


class KuboTimeout(KuboUnavailable):
    """The Kubo daemon did not answer within the time limit."""


class ContentFault(JobFault):
    """The address or the content itself is at fault; trying again gives the same."""


class BadCid(ContentFault):
    """``text`` is not a CID this network uses, for ``reason``."""

    def __init__(self, text: str, reason: str) -> None:
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(
            f"{shown!r} is not a usable CID: {reason}",
            hint="expected CIDv1, base32 lower case, sha2-256: bafkrei... for one block, bafybei... for a larger file",
        )
        self.text, self.reason = text, reason


class MalformedBlock(ContentFault):
    """A verified block is not a canonical UnixFS node, for ``reason``."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"malformed UnixFS block: {reason}",
            hint="add it again with raw leaves, CIDv1 and no mode or mtime: `ipfs config profile apply unixfs-v1-2025`",
        )
        self.reason = reason


class NotAFolder(ContentFault):
    """``cid`` (text form) is a file."""

    def __init__(self, cid: str) -> None:
        super().__init__(f"{cid} is a file, not a folder", hint="read it as a file: `content export CID TARGET --file`")
        self.cid = cid


class MalformedCar(ContentFault):
    """A stream is no CAR v1 of blocks this network uses, for ``reason``."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"malformed CAR: {reason}", hint="make it again, with `ipfs dag export` or `content export`")
        self.reason = reason


class BudgetExceeded(ContentFault):
    """``what`` (``bytes``, ``depth``, ``blocks`` or ``entries``): at least ``found``, more than ``limit``."""

    def __init__(self, what: str, limit: int, found: int) -> None:
        super().__init__(f"content exceeds its budget: {what} {found}, at most {limit} allowed")
        self.what, self.limit, self.found = what, limit, found


class UnreadableFile(ContentFault):
    """``path`` cannot be added, for ``reason``."""

    def __init__(self, path: str, reason: str) -> None:
        hint = "name a readable regular file, or a folder of such files and folders"
        super().__init__(f"cannot add {path}: {reason}", hint=hint)
        self.path, self.reason = path, reason


class StoreFailed(Fatal):
    """The operating system refused an operation on the store."""


class TargetInUse(Fatal):
    """A folder cannot be written to ``path``, where there is something already, for ``reason``."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot write a folder to {path}: {reason}", hint="name a folder that is empty or not there")
        self.path, self.reason = path, reason


class KuboDisagrees(Fatal):
    """The daemon answers with another CID than the profile gives, or its address is unusable."""


class GatewayFailed(Fatal):
    """The gateway cannot listen at its address."""
