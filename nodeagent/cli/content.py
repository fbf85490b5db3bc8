"""``nodeagent content`` and ``quorate content``: the files and folders a home keeps, by CID."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeagent.cli.common import print_json, say, start_logging
from nodeagent.errors import QuorateError

if TYPE_CHECKING:
    from nodeagent.content import Budget, Cid, LocalStore


@click.group()
@click.option("--home", "own_home", type=click.Path(path_type=Path), help="folder of this node or requester")
@click.pass_context
def content(ctx: click.Context, own_home: Path | None) -> None:
    """Add, show, check and move the files and folders this home keeps.

    They are kept as blocks named by their CID, the one that `ipfs add -r --hidden` gives after `ipfs config profile
    apply unixfs-v1-2025`. A CAR carries the blocks to and from other IPFS programs.

    \b
      nodeagent content add data                  a file, or a folder with all in it; prints its CID
      nodeagent content ls                        what is pinned
      nodeagent content ls CID                    what is in a folder
      nodeagent content export CID copy --file    the file or folder as it was added
      nodeagent content export CID data.car       for: ipfs dag import data.car
      nodeagent content import data.car           of:  ipfs dag export CID > data.car
      nodeagent content fetch CID --from URL      of trustless gateways, a Kubo's or another node's
      nodeagent content verify                    read everything kept, remove what rotted
      nodeagent content gc                        remove what nothing needs
    """
    from nodeagent.config import default_home
    from nodeagent.content import LocalStore

    given = ctx.obj if ctx.obj is None or isinstance(ctx.obj, Path) else ctx.obj.home
    home = own_home or given or default_home()
    if not (home / "content").is_dir():
        raise click.UsageError(f"{home} keeps no content: name a home that exists with --home")
    start_logging(False, "error")  # what is rotten is told in words
    ctx.obj = LocalStore(home / "content")


@content.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.pass_obj
def add(store: LocalStore, path: Path) -> None:
    """Keep and pin a file or a folder; prints its CID.

    Of a folder all files and folders are taken, hidden ones too; modes, owners and times are not. A link, a pipe or a
    name that is not UTF-8 is an error that says where it is: nothing is pinned then. The same files give the same CID
    everywhere.
    """
    click.echo(str(store.put_folder(path) if path.is_dir() else store.put_file(path)))


@content.command()
@click.argument("cid", required=False)
@click.option("--recursive", "-r", is_flag=True, help="also what is in the folders of the folder CID")
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_obj
def ls(store: LocalStore, cid: str | None, recursive: bool, as_json: bool) -> None:
    """What is pinned and for what it is needed; with CID, what is in that folder.

    Of what is pinned a line has CID and size, of a folder's contents CID, size and name; a folder's name ends in "/".
    """
    if cid is not None:
        _list_folder(store, _parse(cid), recursive, as_json)
        return
    if recursive:
        raise click.UsageError("--recursive lists a folder: name its CID")
    files = [_pinned(store, cid, labels) for cid, labels in store.pins().items()]
    held: dict[str, Any] = {"files": files, "blocks": sum(1 for _ in store.block_cids()), "bytes": store.total_bytes()}
    if as_json:
        print_json(held)
        return
    for file in files:
        size = "not whole" if file["bytes"] is None else f"{file['bytes']:,} bytes"
        labels = [label for label in file["needed_for"] if label != "itself"]
        kind = " in a folder" if file["folder"] else ""
        click.echo(f"{file['cid']}  {size}{kind}{'  for ' + ', '.join(labels) if labels else ''}")
    say(f"{len(files)} pinned files and folders; {held['blocks']} blocks of {held['bytes']:,} bytes in {store.root}")


def _pinned(store: LocalStore, cid: Cid, labels: list[str]) -> dict[str, Any]:
    from nodeagent.content.tree import is_folder

    needed_for = [label or "itself" for label in labels]
    pinned: dict[str, Any] = {"cid": str(cid), "bytes": None, "folder": False, "needed_for": needed_for}
    with contextlib.suppress(QuorateError):
        pinned["folder"] = is_folder(cid, store.load)
        pinned["bytes"] = store.file_size(cid, _own())
    return pinned


def _list_folder(store: LocalStore, root: Cid, recursive: bool, as_json: bool) -> None:
    from nodeagent.content.tree import contents
    from nodeagent.text import printable

    items = sorted(contents(root, store.load, _own(), deep=recursive), key=lambda item: item.path.split("/"))
    if as_json:
        listed = [{"path": item.path, "cid": str(item.cid), "bytes": item.size} for item in items]
        print_json({"cid": str(root), "entries": listed})
        return
    sizes = ["-" if item.size is None else f"{item.size:,}" for item in items]
    width = max(map(len, sizes), default=0)
    for item, size in zip(items, sizes, strict=True):
        click.echo(f"{item.cid}  {size:>{width}}  {printable(item.path)}{'/' if item.is_folder else ''}")


@content.command()
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Read every block against its CID; exit 1 when a pinned file or folder is not whole.

    A block that rotted is removed, so that an agent fetches it again when it needs it.
    """
    from nodeagent.content.errors import BlockMissing

    store: LocalStore = ctx.obj
    rotten: list[str] = []
    blocks = list(store.block_cids())
    with click.progressbar(blocks, label="verifying", file=sys.stderr) as steps:
        for cid in steps:
            try:
                store.load(cid)
            except BlockMissing:
                rotten.append(str(cid))
    # what jobs need from others is fetched when its time comes
    own = [cid for cid, labels in store.pins().items() if not all(label.startswith("payload-") for label in labels)]
    broken = [str(cid) for cid in own if not store.has_all(cid, _own())]
    if as_json:
        print_json({"blocks": len(blocks), "rotten": sorted(rotten), "not_whole": broken})
    else:
        click.echo(f"{len(blocks)} blocks read, {len(rotten)} rotten removed; {len(broken)} pinned are not whole")
        for name in broken:
            click.echo(f"not whole: {name}")
    ctx.exit(1 if broken else 0)


@content.command()
@click.option("--keep", "keep_mib", type=click.IntRange(0), default=0, help="MiB that may stay in all (default 0)")
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_obj
def gc(store: LocalStore, keep_mib: int, as_json: bool) -> None:
    """Remove what no pinned file is made of, least recently used first.

    A running agent does so by itself above its content_max_bytes; what its open jobs and appeals may need is pinned.
    """
    removed = store.collect(keep_mib << 20)
    left = store.total_bytes()
    if as_json:
        print_json({"removed_bytes": removed, "bytes": left})
    else:
        click.echo(f"removed {removed:,} bytes; {left:,} bytes are left")


@content.command()
@click.argument("cid")
@click.pass_obj
def pin(store: LocalStore, cid: str) -> None:
    """Keep what is here, whatever the store's limit."""
    found = _whole(store, cid)
    store.pin(found)
    _whole(store, cid)  # a collection may have been on its way
    say(f"pinned {found}, {store.file_size(found, _own()):,} bytes")


@content.command()
@click.argument("cid")
@click.pass_obj
def unpin(store: LocalStore, cid: str) -> None:
    """Undo pin; nothing is removed before gc, or before the store reaches its limit."""
    found = _parse(cid)
    store.unpin(found)
    if labels := store.pins().get(found):
        say(f"{found} is still needed for {', '.join(labels)}: the agent unpins it when those are over")


@content.command("export")
@click.argument("cid")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--file", "as_file", is_flag=True, help="the file or folder itself instead of a CAR")
@click.pass_obj
def export_(store: LocalStore, cid: str, target: Path, as_file: bool) -> None:
    """Write a file or folder as a CAR, or as it was.

    Without --file TARGET is a CAR of its blocks, with it the file or folder itself. A file at TARGET is replaced, when
    all of the new one is there; a folder replaces nothing: TARGET must be new or an empty folder.
    """
    found = _parse(cid)
    (store.export if as_file else store.export_car)(found, target, _own())
    size = store.file_size(found, _own()) if as_file else target.stat().st_size
    say(f"wrote {target}, {size:,} bytes")


@content.command("import")
@click.argument("source", type=click.File("rb"))
@click.pass_obj
def import_(store: LocalStore, source: Any) -> None:
    """Keep and pin the files and folders of a CAR; prints their CIDs. SOURCE may be - for standard input."""
    for cid in store.import_car(source, _own()):
        click.echo(str(cid))


@content.command()
@click.argument("cid")
@click.option(
    "--from", "sources", multiple=True, required=True, metavar="URL", help="a gateway; more than one may serve"
)
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_obj
def fetch(store: LocalStore, cid: str, sources: tuple[str, ...], as_json: bool) -> None:
    """Bring a file or folder from trustless gateways, keep and pin it.

    URL is what comes before /ipfs/CID: a node's endpoint, or http://127.0.0.1:8080 of a Kubo daemon here. Each block is
    checked against its CID. One source that fails or dawdles is replaced by the next. After an interruption, run it
    again: it goes on with the blocks that have come.
    """
    from nodeagent.content.fetch import Fetcher

    root = _parse(cid)
    new = "" not in store.pins().get(root, [])
    store.pin(root)  # before its blocks come, so that no collection takes them
    try:
        report = Fetcher(store).fetch_tree(root, sources, _own())
        store.pin(root)  # another fetch of it that was given up may have undone that
    except BaseException:
        if new:
            store.unpin(root)
        raise
    told = {"cid": str(root), "bytes": store.file_size(root, _own()), "fetched_bytes": report.bytes_fetched}
    if as_json:
        failures = [{"source": failure.source, "reason": failure.reason} for failure in report.failures]
        print_json({**told, "failures": failures})
        return
    for failure in report.failures:
        say(f"{failure.source}: {failure.reason}")
    say(f"pinned {root}, {told['bytes']:,} bytes, of which {report.bytes_fetched:,} were fetched (with its nodes)")


def _own() -> Budget:
    """What a person asks of his own home is not held to a stranger's budget."""
    from nodeagent.content import Budget

    return Budget(max_bytes=1 << 50, max_entries=1 << 24)


def _parse(text: str) -> Cid:
    from nodeagent.content import Cid

    return Cid.parse(text)


def _whole(store: LocalStore, text: str) -> Cid:
    from nodeagent.content.errors import BlockMissing

    cid = _parse(text)
    if not store.has_all(cid, _own()):
        raise BlockMissing(str(cid), f"{store.root}, or a block below it is not")
    return cid
