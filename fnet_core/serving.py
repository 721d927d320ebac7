"""Who may reach the dashboard and which folders it may use, as the person who starts it says: options or variables."""

import ipaddress
import os
import tomllib
from collections.abc import Collection, Iterable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from fnet_core.errors import RequestError

HOSTS, ROOTS, OPEN = "FNET_HOSTS", "FNET_MODEL_ROOTS", "FNET_OPEN_TO_ANYONE"
ENDS_WITH_STDIN = "FNET_ENDS_WITH_STDIN"
"""Set for a server whose standard input is a pipe from the command that started it, with which it ends."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY = "0.0.0.0"
"""All addresses of this machine."""


def named_hosts() -> frozenset[str]:
    """The names of FNET_HOSTS, between commas, by which the dashboard may be asked besides those of this machine."""
    return frozenset(name.strip().lower() for name in os.environ.get(HOSTS, "").split(",") if name.strip())


def named_roots() -> tuple[Path, ...]:
    """The folders of FNET_MODEL_ROOTS, which the pages may use beside the models and exports of the cache folder."""
    return tuple(Path(name).expanduser() for name in os.environ.get(ROOTS, "").split(os.pathsep) if name)


def host_of(header: str) -> str | None:
    """The name in a Host header, in small letters and without its port; None where it is no name."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    if parts.netloc != header or parts.username is not None or not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def is_local(address: str | None) -> bool:
    """Whether only this machine reaches a server that listens there; None is every address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or EVERY).is_loopback
    except ValueError:
        return False


def has_login(secrets: Iterable[Path]) -> bool:
    """Whether one of Streamlit's files of secrets says how people log in."""
    return any({"redirect_uri", "cookie_secret"} <= _auth(path).keys() for path in secrets)


def _auth(path: Path) -> dict[str, object]:
    try:
        found = tomllib.loads(path.read_text("utf-8")).get("auth")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_reach(address: str | None, hosts: Collection[str], secrets: Iterable[Path], open_to_anyone: bool) -> None:
    """RequestError where others could reach a server without login, or where login lacks its library.

    Others reach one that listens on an `address` of the network, or is asked by names other than this machine's own.
    """
    login = has_login(secrets)
    if login and find_spec("authlib") is None:
        raise RequestError("Login needs the package 'Authlib'; install it with: pip install Authlib.")
    if not (login or open_to_anyone or (is_local(address) and LOOPBACK.issuperset(hosts))):
        raise RequestError(
            "Others could use this dashboard, and nobody would have to log in; set login up as docs/serving.md says, "
            f"listen on localhost and name no host, or say --open-to-anyone ({OPEN}=1)."
        )
