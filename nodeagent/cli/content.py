"""``nodeagent content`` and ``quorate content``: the files a home keeps, by CID."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeagent.cli.common import print_json, say, start_logging
from nodeagent.errors import QuorateError

if TYPE_CHECKING:
    from nodeagent.content import Cid, LocalStore


@click.group()
@click.option("--home", "own_home", type=click.Path(path_type=Path), help="folder of this node or requester")
@click.pass_context
def content(ctx: click.Context, own_home: Path | None) -> None:
    """Show, check and move the files this home keeps.

    Files are kept as blocks named by their CID, the same CID that `ipfs add --profile` of unixfs-v1-2025 gives. A CAR
    carries a file's blocks to and from other IPFS programs.

    \b
      nodeagent content ls
      nodeagent content verify                    read everything kept, remove what rotted
      nodeagent content gc                        remove what nothing needs
      nodeagent content export CID file.car       for: ipfs dag import file.car
      nodeagent content import file.car           of:  ipfs dag export CID > file.car
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
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_obj
def ls(store: LocalStore, as_json: bool) -> None:
    """Pinned files with their sizes and for what they are needed, and what the blocks of all files take."""
    files: list[dict[str, Any]] = [
        {"cid": str(cid), "bytes": _size(store, cid), "needed_for": [label or "itself" for label in labels]}
        for cid, labels in store.pins().items()
    ]
    held: dict[str, Any] = {"files": files, "blocks": sum(1 for _ in store.block_cids()), "bytes": store.total_bytes()}
    if as_json:
        print_json(held)
        return
    for file in files:
        size = "not whole" if file["bytes"] is None else f"{file['bytes']:,} bytes"
        labels = [label for label in file["needed_for"] if label != "itself"]
        click.echo(f"{file['cid']}  {size}{'  for ' + ', '.join(labels) if labels else ''}")
    say(f"{len(files)} pinned files; {held['blocks']} blocks of {held['bytes']:,} bytes in {store.root}")


def _size(store: LocalStore, cid: Cid) -> int | None:
    try:
        return store.file_size(cid)
    except QuorateError:
        return None


@content.command()
@click.option("--json", "as_json", is_flag=True, help="print as JSON")
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Read every block against its CID; exit 1 when a pinned file is not whole.

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
    broken = [str(cid) for cid in own if not store.has_all(cid)]
    if as_json:
        print_json({"blocks": len(blocks), "rotten": sorted(rotten), "not_whole": broken})
    else:
        click.echo(f"{len(blocks)} blocks read, {len(rotten)} rotten removed; {len(broken)} pinned files not whole")
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
    """Keep a file that is here, whatever the store's limit."""
    found = _whole(store, cid)
    store.pin(found)
    say(f"pinned {found}, {store.file_size(found):,} bytes")


@content.command()
@click.argument("cid")
@click.pass_obj
def unpin(store: LocalStore, cid: str) -> None:
    """Undo pin; nothing is removed before gc, or before the store reaches its limit."""
    store.unpin(_parse(cid))


@content.command("export")
@click.argument("cid")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--file", "as_file", is_flag=True, help="the file's own bytes instead of a CAR")
@click.pass_obj
def export_(store: LocalStore, cid: str, target: Path, as_file: bool) -> None:
    """Write a file's blocks as a CAR, or with --file its bytes; TARGET is replaced only when all of it is there."""
    (store.export if as_file else store.export_car)(_parse(cid), target)
    say(f"wrote {target}, {target.stat().st_size:,} bytes")


@content.command("import")
@click.argument("source", type=click.File("rb"))
@click.pass_obj
def import_(store: LocalStore, source: Any) -> None:
    """Keep and pin the files of a CAR; prints their CIDs. SOURCE may be - for standard input."""
    for cid in store.import_car(source):
        click.echo(str(cid))


def _parse(text: str) -> Cid:
    from nodeagent.content import Cid

    return Cid.parse(text)


def _whole(store: LocalStore, text: str) -> Cid:
    from nodeagent.content.errors import BlockMissing

    cid = _parse(text)
    if not store.has_all(cid):
        raise BlockMissing(str(cid), f"{store.root}, or a block below it is not")
    return cid
