"""`dashboard`: open the dashboard, from any folder."""

import argparse
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fnet_core import logs, serving
from fnet_core.assets import APP
from fnet_core.checks import check_range
from fnet_core.errors import RequestError
from fnet_core.progress import Report

NAME = "dashboard"
HELP = "open the dashboard in a browser, from any folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it listens and to whom, which folders it may use, and whether a browser is opened."""
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on (default: Streamlit's, 8501)")
    parser.add_argument("--address", metavar="A", help="address to listen on (default localhost)")
    parser.add_argument("--browser", action="store_true", help="open a browser window too")
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="FOLDER",
        help=f"a folder that the pages may read models from and export to; again for more (also {serving.ROOTS})",
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers may ask for it besides localhost and the address; again for more (also "
        f"{serving.HOSTS})",
    )
    parser.add_argument(
        "--serve", action="store_true", help="let other machines in, once login is set up (docs/serving.md)"
    )
    parser.add_argument(
        "--open-to-anyone", action="store_true", help="let other machines in without login, on a network you trust"
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """None: it runs until it is stopped."""
    return {}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Start Streamlit on the dashboard and stay until it is stopped, and stop it with this process.

    RequestError where it cannot start.
    """
    if options.port is not None:
        check_range(options.port, 1, 65535, f"--port {options.port} is", "choose 1 to 65535")
    if find_spec("streamlit") is None:
        raise RequestError("The dashboard needs the package 'streamlit'; install it with: pip install streamlit.")
    level = {logs.VARIABLE: "error"} if options.quiet else {logs.VARIABLE: "debug"} if options.verbose else {}
    address = options.address or (serving.EVERY if options.serve else None)
    env = os.environ | level | _said(options)
    hosts = env[serving.HOSTS].split(",") if env[serving.HOSTS] else []
    serving.check_reach(address or "localhost", hosts, _secrets(), env.get(serving.OPEN) == "1")
    server = subprocess.Popen(command(options.port, address, options.browser), stdin=subprocess.PIPE, env=env)
    previous = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        status = server.wait()
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.terminate()
    if status not in (0, -signal.SIGTERM):
        raise RuntimeError(f"the dashboard ended with status {status}")
    return {"status": status}, ["The dashboard was stopped."]


def _said(options: argparse.Namespace) -> dict[str, str]:
    """The options as the server reads them, from its environment."""
    for root in options.root:
        if not Path(root).expanduser().is_dir():
            raise RequestError(f"--root {root} is no folder; name one that is there.")
    roots = [*serving.named_roots(), *options.root]
    hosts = serving.named_hosts().union(*(_host(name) for name in options.host))
    return {
        serving.ROOTS: os.pathsep.join(str(Path(root).expanduser().absolute()) for root in roots),
        serving.HOSTS: ",".join(sorted(hosts)),
        serving.ENDS_WITH_STDIN: "1",
    } | ({serving.OPEN: "1"} if options.open_to_anyone else {})


def _host(name: str) -> set[str]:
    host = serving.host_of(name.lower())
    if host is None or host != name.lower():
        raise RequestError(f"--host {name} is no name of a machine; write it as in fnet.example.org.")
    return {host}


def _secrets() -> list[Path]:
    """Where Streamlit looks for secrets: in the person's folder, in this one, beside the app."""
    return [folder / ".streamlit" / "secrets.toml" for folder in (Path.home(), Path.cwd(), APP.parent)]


def command(port: int | None, address: str | None, browser: bool) -> list[str]:
    """What starts the dashboard; relative paths that a person types there mean the folder this was called from."""
    started = [sys.executable, "-m", "streamlit", "run", str(APP), f"--server.headless={str(not browser).lower()}"]
    started += [f"--server.port={port}"] if port else []
    return started + ([f"--server.address={address}"] if address else [])
