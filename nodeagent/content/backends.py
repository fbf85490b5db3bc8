"""Where payloads are asked for besides the home's own store, in the order that one setting gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nodeagent.content.cid import Cid
from nodeagent.content.errors import (
    BlockMissing,
    KuboTimeout,
    KuboUnavailable,
    SourceLacksBlock,
    SourceSentWrongBytes,
    SourceStalled,
    SourceUnreachable,
    WrongBytes,
)

if TYPE_CHECKING:
    from nodeagent.content.ahead import Run
    from nodeagent.content.kubo import KuboStore
    from nodeagent.content.transport import Transport
    from nodeagent.content.watch import Cut

Backend = Literal["kubo", "peers", "gateways"]
ORDER: Final[tuple[Backend, ...]] = ("kubo", "peers", "gateways")
KUBO: Final = "kubo"  # stands for the daemon where other sources have a base URL


@dataclass(frozen=True, slots=True)
class Backends:
    """``order`` names who is asked, one after the other; ``gateways`` are base URLs; ``kubo``: whether there is one."""

    order: Sequence[Backend] = ORDER
    gateways: Sequence[str] = ()
    kubo: bool = False

    def line(self, peers: Iterable[str]) -> list[str]:
        """Everybody to ask for content that ``peers`` (base URLs) may have, each once."""
        urls = [peer for peer in peers if peer.startswith(("http://", "https://"))]  # strangers' words: no name of ours
        asked = {"kubo": [KUBO] if self.kubo else [], "peers": urls, "gateways": list(self.gateways)}
        return list(dict.fromkeys(source for backend in self.order for source in asked[backend]))


class WithKubo:
    """Blocks over HTTP, and from a Kubo daemon as if it were one source more. What it says is verified as theirs is."""

    def __init__(self, transport: Transport, kubo: KuboStore) -> None:
        self._transport, self._kubo = transport, kubo

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        """A verified block; raises a ``SourceFailure``."""
        if source != KUBO:
            return self._transport.block(source, cid, cut)
        try:
            return self._kubo.load(cid)
        except BlockMissing as error:
            raise SourceLacksBlock(KUBO, error.message) from error
        except WrongBytes as error:
            raise SourceSentWrongBytes(KUBO, error.message) from error
        except KuboTimeout as error:
            raise SourceStalled(KUBO, error.message) from error
        except KuboUnavailable as error:
            raise SourceUnreachable(KUBO, error.message) from error

    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
        """Leaves of a file, of a source that is no daemon."""
        return self._transport.run(source, run, patience_s, cut)
