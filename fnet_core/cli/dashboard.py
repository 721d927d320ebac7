"""`dashboard`: open the dashboard, from any folder."""

import argparse
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from fnet_core import logs
from fnet_core.assets import APP
from fnet_core.checks import check_range
from fnet_core.errors import RequestError
from fnet_core.progress import Report

NAME = "dashboard"
HELP = "open the dashboard in a browser, from any folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it listens, and whether a browser is opened."""
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on (default: Streamlit's, 8501)")
    parser.add_argument("--address", metavar="A", help="address to listen on (default localhost)")
    parser.add_argument("--browser", action="store_true", help="open a browser window too")


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
    os.environ.update(level)
    server = subprocess.Popen(command(options.port, options.address, options.browser))
    previous = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        status = server.wait()
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.terminate()
    if status not in (0, -signal.SIGTERM):
        raise RuntimeError(f"the dashboard ended with status {status}")
    return {"status": status}, ["The dashboard was stopped."]


def command(port: int | None, address: str | None, browser: bool) -> list[str]:
    """What starts the dashboard; relative paths that a person types there mean the folder this was called from."""
    started = [sys.executable, "-m", "streamlit", "run", str(APP), f"--server.headless={str(not browser).lower()}"]
    started += [f"--server.port={port}"] if port else []
    return started + ([f"--server.address={address}"] if address else [])
