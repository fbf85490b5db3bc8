"""``nodeagent init``: all a node needs on this machine. Run again, it repairs what is missing and keeps the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_origin

import click

from nodeagent.cli.common import WholeNumber, ask, ask_secret, print_json, say
from nodeagent.cli.node_common import Node, home_option

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


class _Init(click.Command):
    """Its help names every setting."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        from nodeagent.config import NodeConfig

        rows = []
        for name, field in NodeConfig.model_fields.items():
            default = "" if field.is_required() or field.default in (None, "", ()) else f"[{_plain(field.default)}]"
            rows.append((name, f"{field.description or ''} {default}".strip() or "[none]"))
        with formatter.section("Settings for --set, and in config.toml"):
            formatter.write_dl(rows)


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


@click.command(cls=_Init)
@home_option
@click.option("--rpc-url", envvar="NODEAGENT_RPC_URL", help="JSON-RPC endpoint [default: http://127.0.0.1:8545]")
@click.option(
    "--deployment",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="NODEAGENT_DEPLOYMENT",
    help="record of the contracts (deployments/<chain-id>.json)",
)
@click.option("--pool", help="pool to work in [default: cpu]")
@click.option("--public-url", help="where other nodes reach this one [default: where the gateway listens]")
@click.option("--gateway-host", help="address the gateway listens on [default: 127.0.0.1]")
@click.option("--gateway-port", type=WholeNumber(0, 65535), help="its port [default: 0, any free one]")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="any setting below; lists by commas")
@click.option("--password-file", type=_FILE, help="of new and copied keys")
@click.option("--key-file", type=_FILE, help="keystore to copy as hot key")
@click.option("--operator-keystore", type=_FILE, help="keystore to copy as operator")
@click.option("--no-operator", is_flag=True, help="keep the operator's key elsewhere")
@click.option("--kdf", type=click.Choice(["standard", "light"]), default="standard", help="cost of guessing a password")
@click.option("--runtimes", type=click.Path(path_type=Path), help="folder of runtimes [default: in the home]")
@click.option("--copy-runtime-from", type=click.Path(path_type=Path, exists=True), help="copy instead of asking npm")
@click.option("--yes", "-y", is_flag=True, help="take every default unasked")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.pass_context
def init(ctx: click.Context, /, own_home: Path | None, **options: Any) -> None:
    """Make a node's home: encrypted keys, configuration, and the canonical runtime from npm."""
    from nodeagent.config import save_config
    from nodeagent.keys import keystore_address
    from nodeagent.runtimes.install import install

    node = Node.of(ctx, own_home)
    yes = options["yes"]
    config = _config(node, options)
    save_config(node.home, config)
    password = _password(node, options["password_file"], yes)
    _key(node.home.key, options["key_file"], password, options["kdf"])
    if not options["no_operator"]:
        _key(node.home.operator, options["operator_keystore"], password, options["kdf"])
    place = install(node.home.resolve(config.runtimes), copy_from=options["copy_runtime_from"])
    result = {
        "home": str(node.home.path),
        "key": keystore_address(node.home.key),
        "operator": keystore_address(node.home.operator) if node.home.operator.exists() else None,
        "runtime": str(place),
        "config": str(node.home.config),
    }
    if options["as_json"]:
        print_json(result)
        return
    say(f"home      {result['home']}\nnode key  {result['key']}  (needs a little gas money)")
    if result["operator"]:
        say(f"operator  {result['operator']}  (needs gas money and stake tokens)")
    say("next: nodeagent seats take")


def _config(node: Node, options: dict[str, Any]) -> Any:
    """The old configuration, if any, with what was said now. Raises BadConfig."""
    from nodeagent.config import BadConfig, NodeConfig, load_config, parse_config

    values: dict[str, Any] = {}
    if node.home.config.exists():
        values = load_config(node.home).model_dump(exclude_defaults=True, exclude_none=True)
    for name in ("rpc_url", "deployment", "pool", "public_url", "gateway_host", "gateway_port", "runtimes"):
        if options[name] is not None:
            value = options[name]
            values[name] = str(value.resolve()) if isinstance(value, Path) else value
    for setting in options["settings"]:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set {setting}: expected NAME=VALUE")
        listed = name in NodeConfig.model_fields and get_origin(NodeConfig.model_fields[name].annotation) is tuple
        values[name] = [part.strip() for part in value.split(",") if part.strip()] if listed else value
    values.setdefault("rpc_url", ask("JSON-RPC endpoint", "http://127.0.0.1:8545", options["yes"]))
    if "deployment" not in values:
        default = _shipped_record(values["rpc_url"])
        told = ask("Deployment record", default, options["yes"] and default is not None)
        if not told or not Path(told).exists():
            raise BadConfig(f"there is no deployment record at {told}", hint="pass --deployment with its path")
        values["deployment"] = str(Path(told).resolve())
    return parse_config(values, "the given settings")


def _shipped_record(rpc_url: str) -> str | None:
    """The record of the endpoint's chain in this folder's ``deployments``, if the chain answers."""
    from nodeagent.chain.rpc import Rpc
    from nodeagent.errors import Transient

    try:
        path = Path("deployments") / f"{Rpc(rpc_url, retries=0, timeout=3.0).chain_id()}.json"
    except Transient:
        return None
    return str(path) if path.exists() else None


def _password(node: Node, file: Path | None, yes: bool) -> str:
    from nodeagent.keys import fresh_password, read_password, write_secret

    found = read_password(file, node.home.password)
    if found is not None:
        return found
    if not yes:
        typed = ask_secret(
            "Password for new keys (empty: a random one, kept in the home)",
            "give --password-file, or --yes for a random one",
            confirmed=True,
            default="",
        )
        if typed:
            return typed
    password = fresh_password()
    write_secret(node.home.password, password)
    say(f"password  {node.home.password}  (random; move it where only the agent can read it)")
    return password


def _key(path: Path, source: Path | None, password: str, cost: str) -> None:
    """A keystore at ``path``: kept, copied, or made."""
    from nodeagent.keys import BadKey, create_keystore, open_keystore, write_secret

    if source is not None:
        open_keystore(source, password)
        if path.exists() and path.read_text() != source.read_text():
            raise BadKey(f"{path} already holds another key", hint="use nodeagent key rotate, or another --home")
        if not path.exists():
            write_secret(path, source.read_text())
    elif not path.exists():
        create_keystore(path, password, cost=cost)
