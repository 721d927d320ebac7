"""What every request passes first: its host, where it was asked from, what is closed, how much is uploaded."""

import ipaddress
import logging
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from dashboard.serving import headers, uploads
from fnet_core.serving import HOSTS, LOOPBACK, host_of, named_hosts
from fnet_core.visible import visible

_CLOSED = re.compile(r"/_stcore/(metrics|agent)(/|$)")
_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?$")
_LOGGED = 100
"""The most refused names that are logged, so that nobody fills the log."""
_log = logging.getLogger("fnet_core.serving")


class Gate:
    """Lets requests through that this server is meant for, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._refused: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI hands it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        host = asked.get("host", "")

        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message).update(headers.of(host))
            await send(message)

        if refusal := self._refusal(scope, asked):
            status, sentence = refusal
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": sentence})
                return
            host = ""
            await PlainTextResponse(sentence, status)(scope, receive, with_headers)
            return
        upload = _UPLOAD.search(scope["path"]) if scope.get("method") == "PUT" else None
        if upload is None:
            await self._app(scope, receive, with_headers)
            return
        length = asked.get("content-length", "")
        if problem := uploads.problem(upload[1], length):
            await PlainTextResponse(problem, 413)(scope, receive, with_headers)
            return
        with uploads.under_way(upload[1], int(length)):
            await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, asked: Headers) -> tuple[int, str] | None:
        """The status and the sentence with which a request is refused; None for one that may pass."""
        hosts, origins = asked.getlist("host"), asked.getlist("origin")
        if len(hosts) != 1 or host_of(hosts[0]) not in answered(scope):
            self._tell(f"host {', '.join(hosts)}")
            return 421, (
                "This dashboard does not answer to this name. Whoever starts it can name it: fnet dashboard --host "
                f"NAME, or {HOSTS}."
            )
        if any(not _is_same(origin, hosts[0]) for origin in origins):
            self._tell(f"origin {', '.join(origins)} at host {hosts[0]}")
            return 403, "This was asked from a page of another server; open the dashboard itself."
        if _CLOSED.search(scope["path"]):
            return 404, "There is nothing here."
        return None

    def _tell(self, what: str) -> None:
        if what not in self._refused and len(self._refused) < _LOGGED:
            self._refused.add(what)
            _log.warning("refused a request: %s", visible(what)[:200])


def answered(scope: Scope) -> frozenset[str]:
    """The names that a request may ask for: this machine's own, the address it came to, and those of FNET_HOSTS."""
    here = (scope.get("server") or ("", 0))[0] or ""
    try:
        address = ipaddress.ip_address(here)
        here = str(getattr(address, "ipv4_mapped", None) or address)
    except ValueError:
        pass
    bound = str(config.get_option("server.address") or "").lower()
    return LOOPBACK | named_hosts() | ({here, bound} - {""})


def _is_same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
