"""Real processes for the script tests: anvil, ape, and a proxy between them that can lose or change an answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from click.testing import CliRunner, Result

from nodeagent.devnet.anvil import FORGETFUL

ROOT = Path(__file__).resolve().parents[2]
DEPLOYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
HEIR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def tool(name: str) -> str:
    """A program of the toolkit, wherever the set-up put it."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:{ROOT}/node_modules/.bin:{ROOT}/.venv/bin")
    assert found, f"{name} is not installed: run `make setup`"
    return found


def rpc(url: str, method: str, *params: Any) -> Any:
    """One JSON-RPC call; fails the test on an error."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        found = json.load(answer)
    assert "error" not in found, found
    return found["result"]


class Anvil:
    """A chain on a free port that the kernel chose; ``url`` is where it listens."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [tool("anvil"), "--port", "0", "--accounts", "20", *FORGETFUL, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if line.startswith("Listening on "):
                self.url = "http://" + line.split()[-1]
                break
        else:
            raise AssertionError("anvil did not start:\n" + "".join(said))
        # Keep its pipe empty, or it stops when the pipe is full.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)


@dataclass(frozen=True)
class Run:
    """A finished command."""

    code: int
    out: str
    err: str

    def checked(self) -> Run:
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self

    @property
    def said(self) -> str:
        return self.out + self.err


def ape(url: str, *args: object, **env: str) -> Run:
    """``ape …`` in the repository, attached to the chain at ``url``; nobody is there to answer a question."""
    done = subprocess.run(
        [tool("ape"), *map(str, args)],
        cwd=ROOT,
        env={**os.environ, "APE_FOUNDRY_HOST": url, "NO_COLOR": "1", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


class Proxy:
    """JSON-RPC proxy on loopback. ``change(method, params, answer)`` may return another answer, or None to hang up
    after the node has done what was asked."""

    def __init__(self, target: str, change: Callable[[str, list[Any], dict[str, Any]], dict[str, Any] | None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = json.loads(body)
                request = urllib.request.Request(target, body, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=120) as answer:
                    found = json.load(answer)
                changed = change(asked["method"], asked["params"], found)
                if changed is None:
                    self.close_connection = True
                    return
                data = json.dumps(changed).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def admin(folder: Path, *args: str, answer: str | None = None) -> Result:
    """``ape run admin`` in this process, through click; without ``answer`` nobody is asked."""
    from scripts.admin import cli

    options = [*args, "--network", "ethereum:local:foundry", "--record", str(folder)]
    options += [] if "show" in args or answer is not None else ["--yes"]
    return CliRunner(mix_stderr=True).invoke(cli, options, input=answer)


def provider_at(url: str) -> Any:
    """What the scripts use of an ape provider, for a chain that ape is not connected to."""
    from ape import networks
    from web3 import HTTPProvider

    http = HTTPProvider(url, exception_retry_configuration=None)
    chain_id = int(http.make_request("eth_chainId", [])["result"], 16)
    network = SimpleNamespace(name="local", ecosystem=networks.ethereum)
    return SimpleNamespace(
        web3=SimpleNamespace(provider=http), http_uri=url, network=network, chain_id=chain_id, process=None
    )


def deploy_here(url: str, folder: Path, params: Path | None = None, said: list[str] | None = None) -> Any:
    """A deployment in this process, without ape's start-up. Returns the Deployment after its run."""
    from ape import accounts

    from scripts._lib import artifacts
    from scripts._lib import params as params_module
    from scripts._lib.abi import ErrorTable, Interface
    from scripts._lib.chain import Chain, Sender
    from scripts._lib.deployment import Deployment
    from scripts._lib.record import Store

    provider = provider_at(url)
    built = artifacts.load_all()
    interfaces = {name: Interface(name, artifact.abi) for name, artifact in built.items()}
    chain = Chain(provider)
    sender = Sender(chain, accounts.test_accounts[0], provider, ErrorTable(interfaces.values()))
    read = params_module.load(params_module.path_for("local", params), interfaces, sender.address)
    words = said if said is not None else []
    run = Deployment(chain, sender, read, built, Store(folder, chain.chain_id), words.append)
    run.run()
    return run
