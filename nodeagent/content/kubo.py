"""A Kubo daemon as a content store, through ``ipfshttpclient``: the one module that knows that library.

The daemon is trusted with nothing. Files go to it as the blocks we built, in a CAR, so that its own settings cannot
give them another root; what it returns is verified.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import ipfshttpclient
from ipfshttpclient import exceptions as ipfs

from nodeagent.content import folder, unixfs
from nodeagent.content.car import header, section
from nodeagent.content.cid import Cid
from nodeagent.content.disk import open_regular
from nodeagent.content.errors import BlockMissing, KuboDisagrees, KuboTimeout, KuboUnavailable
from nodeagent.content.unixfs import DEFAULT_BUDGET, MAX_BLOCK_BYTES, Budget

_SEND_BYTES: Final = 1 << 18  # a piece of a request; the library's own 4 KiB cost more time than the bytes
warnings.filterwarnings("ignore", message="The 'strict' parameter", category=FutureWarning)  # the library's own
# the root is pinned, and announced to the daemon's network at once, beside its usual rounds; without one it is not
_KEPT_AND_TOLD: Final = {"pin-roots": "true", "fast-provide-root": "true", "fast-provide-wait": "false"}
_ABSENT: Final = ("not found", "could not find", "no such block", "block was not found")


class KuboStore:
    """``api`` is the daemon's RPC address, ``/ip4/127.0.0.1/tcp/5001`` or ``http://127.0.0.1:5001``.

    ``offline`` (default) asks only for what the daemon itself holds; otherwise it also searches its network, for at
    most ``timeout_s``. Raises ``KuboDisagrees`` for an address that is none; nothing is sent before the first use.
    """

    def __init__(self, api: str, *, timeout_s: float = 30.0, offline: bool = True) -> None:
        self.api = api
        self._offline = offline
        try:
            self._client = _client(_multiaddr(api), timeout_s)
        except Exception as error:  # multiaddr raises classes of several trees for bad text
            raise KuboDisagrees(
                f"{api!r} is no address of a Kubo API: {error}",
                hint="use /ip4/127.0.0.1/tcp/5001 or http://127.0.0.1:5001",
            ) from error

    def version(self) -> str:
        """The daemon's version; any recent one will do."""
        with _typed(self.api):
            return str(self._client.version()["Version"])

    def put_bytes(self, data: bytes) -> Cid:
        """Add and pin ``data`` as a file. Raises ``KuboDisagrees`` when the daemon keeps another root."""
        return self._put(io.BytesIO(data))

    def put_file(self, path: Path) -> Cid:
        """Add and pin the regular file at ``path``, streamed. It is read twice: once to know its CID."""
        with open_regular(path) as stream:
            return self._put(stream)

    def put_folder(self, path: Path) -> Cid:
        """Add and pin the folder at ``path``, streamed. It is read twice: once to know its CID."""
        return self._send(folder.folder_cid(path), folder.grow(path))

    def read(self, cid: Cid, budget: Budget = DEFAULT_BUDGET) -> Iterator[bytes]:
        """The file's bytes, leaf by leaf, each block verified here."""
        return unixfs.read(cid, self.load, budget)

    def get_bytes(self, cid: Cid, max_bytes: int) -> bytes:
        """The whole file, at most ``max_bytes`` long."""
        return unixfs.read_all(cid, self.load, max_bytes)

    def load(self, cid: Cid) -> bytes:
        """One verified block; raises ``BlockMissing`` when the daemon does not have it."""
        with _typed(self.api, cid), contextlib.closing(self._open_block(cid)) as parts:
            block = bytearray()
            for part in parts:
                block += part
                if len(block) > MAX_BLOCK_BYTES:
                    raise KuboUnavailable(f"{self.api} sent more than {MAX_BLOCK_BYTES} bytes as block {cid}")
        return cid.verify(bytes(block))

    def has(self, cid: Cid) -> bool:
        """Whether the daemon holds the block named ``cid`` (never asks its network)."""
        try:
            with _typed(self.api, cid):
                self._client.block.stat(str(cid), offline=True)
        except BlockMissing:
            return False
        return True

    def pin(self, cid: Cid) -> None:
        """Keep the whole file in the daemon; raises ``BlockMissing`` when it cannot find all of it."""
        with _typed(self.api, cid):
            self._client.pin.add(str(cid), offline=self._offline)

    def unpin(self, cid: Cid) -> None:
        """Let the daemon collect the file; no error when it was not pinned."""
        try:
            with _typed(self.api):
                self._client.pin.rm(str(cid))
        except KuboUnavailable as error:
            if "not pinned" not in error.message:
                raise

    def _put(self, stream: BinaryIO) -> Cid:
        root = unixfs.file_cid(stream)
        stream.seek(0)
        return self._send(root, ((child.cid, block) for child, block in unixfs.grow(unixfs.cut(stream))))

    def _send(self, root: Cid, blocks: Iterator[tuple[Cid, bytes]]) -> Cid:
        car = _Joined(itertools.chain([header([root])], (section(cid, block) for cid, block in blocks)))
        with _typed(self.api):
            answer = self._client.dag.imprt(car, opts=_KEPT_AND_TOLD)
        told = [part["Root"] for part in (answer if isinstance(answer, list) else [answer]) if part.get("Root")]
        found = {str(pinned["Cid"]["/"]) for pinned in told} or {"nothing"}
        _agree(self.api, root, ", ".join(sorted(found)), "; ".join(filter(None, (p.get("PinErrorMsg") for p in told))))
        return root

    def _open_block(self, cid: Cid) -> Any:
        return self._client.block.get(str(cid), stream=True, offline=self._offline)


def _client(address: str, timeout_s: float) -> Any:
    with warnings.catch_warnings():  # the library names 0.8 as its newest daemon; what we use still works
        warnings.filterwarnings("ignore", message="Unsupported daemon version")
        client = ipfshttpclient.Client(address, timeout=timeout_s)
    client.dag.chunk_size = _SEND_BYTES
    http = client._client
    if hasattr(http, "_session_props"):
        http._session_props["trust_env"] = False  # a proxy or .netrc of the environment has no business here
    return client


def _multiaddr(api: str) -> str:
    if "://" not in api:
        return api
    parts = urlsplit(api)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("expected http(s)://host[:port] and nothing more")
    host = parts.hostname
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    return f"/{kind}/{host}/tcp/{parts.port or 5001}/{parts.scheme}"


class _Joined(io.RawIOBase):
    """Pieces as one stream to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _agree(api: str, expected: Cid, found: str, complaint: str = "") -> None:
    if found != str(expected) or complaint:
        raise KuboDisagrees(
            f"{api} stored {found}, expected {expected}{': ' if complaint else ''}{complaint}",
            hint="leave the file alone while it is added, and see that the daemon has room",
        )


@contextlib.contextmanager
def _typed(api: str, cid: Cid | None = None) -> Iterator[None]:
    """Turn the library's errors into ours; ``cid`` is what was asked for, when a block was."""
    try:
        yield
    except ipfs.TimeoutError as error:
        raise KuboTimeout(f"{api} did not answer in time", hint="check that the daemon is healthy") from error
    except ipfs.ErrorResponse as error:
        if cid and any(text in str(error).lower() for text in _ABSENT):
            raise BlockMissing(str(cid), f"Kubo at {api}") from error
        raise KuboUnavailable(f"{api} refused: {error}") from error
    except (ipfs.Error, OSError) as error:
        hint = "start the daemon or correct its address"
        raise KuboUnavailable(f"{api} cannot be used: {error}", hint=hint) from error
