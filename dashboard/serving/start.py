"""What the server is started with: the checks before it, the gate before every request, the end with its parent."""

import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit import cli_util, config
from streamlit.web.server import server_util

from dashboard import warming
from dashboard.serving import archive, promptly, whole
from dashboard.serving.document import Document
from dashboard.serving.gate import Gate
from fnet_core import logs
from fnet_core.errors import RequestError
from fnet_core.serving import ENDS_WITH_STDIN, OPEN, check_reach, named_hosts


def check() -> None:
    """Say why the server may not be started as it was, and end with status 2."""
    try:
        logs.configure()
        secrets = map(Path, config.get_option("secrets.files"))
        check_reach(config.get_option("server.address"), named_hosts(), secrets, os.environ.get(OPEN) == "1")
    except RequestError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    promptly.answer()
    whole.load_whole()
    if os.environ.get(ENDS_WITH_STDIN) == "1":
        threading.Thread(target=_end_with_the_parent, daemon=True).start()


def middleware() -> list[Middleware]:
    """What every request passes."""
    return [Middleware(Gate), Middleware(Document)]


def routes() -> list[Route]:
    """What is answered besides the pages."""
    return archive.routes()


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Open a browser once the server listens, where one is wanted; what a model needs is loaded in a quiet moment."""
    warming.allow()
    if not config.get_option("server.headless"):
        cli_util.open_browser(server_util.get_url("localhost"))
    yield


def _end_with_the_parent() -> None:
    """The system closes the pipe with the process at its other end, however that one ends."""
    os.read(0, 1)
    os._exit(1)
