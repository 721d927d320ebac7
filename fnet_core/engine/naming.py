"""How an engine is named, judged without any library: the address of its scheduler, and the folder that lets one in."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from fnet_core._version import __version__
from fnet_core.errors import RequestError
from fnet_core.serving import is_local

VARIABLE, TLS_VARIABLE = "FNET_ENGINE", "FNET_ENGINE_TLS"
PORT = 8786
"""Where a Dask scheduler listens unless told otherwise."""
HERE = f"tcp://127.0.0.1:{PORT}"

VERSION = f"FNet {__version__}"
"""The resource of every worker of this version, and of no other."""
GPU = "GPU"
"""The resource of a worker that has one."""


@dataclass(frozen=True)
class Address:
    """Where a scheduler listens, and the certificate that it wants to see."""

    host: str
    port: int
    tls: Path | None = None
    """The folder with certificate and key; None for a connection that anybody may open and read."""

    def __str__(self) -> str:
        return f"{'tls' if self.tls else 'tcp'}://{self.netloc}"

    @property
    def netloc(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_local(self.host)


def address_of(name: str, tls: str | Path | None = None) -> Address:
    """The address that tcp://HOST:PORT means; `tls` is the folder that --tls or FNET_ENGINE_TLS names.

    RequestError for anything else, and for tls://HOST:PORT without such a folder.
    """
    folder = tls or os.environ.get(TLS_VARIABLE) or None
    try:
        parts = urlsplit(name.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    bare = parts is not None and not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if parts is None or parts.scheme not in ("tcp", "tls") or not host or port is None or not bare:
        raise RequestError(f"'{name[:80]}' names no engine; write its scheduler as tcp://HOST:PORT, such as {HERE}.")
    if parts.scheme == "tls" and folder is None:
        raise RequestError(
            f"{name} wants a certificate; name the folder that holds it with --tls FOLDER or {TLS_VARIABLE}."
        )
    return Address(host, port, Path(folder).expanduser() if folder else None)


def named(given: str | None = None, tls: str | Path | None = None) -> Address | None:
    """The engine that is given, or else that of FNET_ENGINE; None where neither names one."""
    name = given if given is not None else os.environ.get(VARIABLE, "").strip() or None
    return None if name is None else address_of(name, tls)


def check_installed() -> None:
    """RequestError where the library of engines is missing."""
    if find_spec("distributed") is None:
        raise RequestError("An engine needs the package 'distributed'; install it with: pip install 'fnet[engine]'.")
