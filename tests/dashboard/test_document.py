"""Streamlit's page gets its script, and nothing else does; answers leave at once."""

import asyncio
import base64
import hashlib
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
import uvicorn

from dashboard.serving import headers, promptly
from dashboard.serving.document import SCRIPT, Document

PAGE = (Path(find_spec("streamlit").origin).parent / "static" / "index.html").read_bytes()


def answered(body: bytes, kind: bytes = b"text/html; charset=utf-8", accept: bytes = b"text/html,*/*") -> list[dict]:
    sent: list[dict] = []
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope, receive, send):
        seen.extend(scope["headers"])
        listed = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": listed})
        for start in range(0, len(body), 100):
            piece = body[start : start + 100]
            await send({"type": "http.response.body", "body": piece, "more_body": start + 100 < len(body)})

    async def send(message):
        sent.append(message)

    asked = [(b"accept", accept), (b"accept-encoding", b"gzip")]
    asyncio.run(Document(app)({"type": "http", "path": "/networks", "headers": asked}, None, send))
    assert ((b"accept-encoding", b"gzip") in seen) == (b"text/html" not in accept)
    return sent


def test_streamlits_page_is_told_where_its_server_is():
    start, body = answered(PAGE)
    assert body["body"].count(SCRIPT.encode()) == 1
    assert body["body"].replace(f"<script>{SCRIPT}</script>".encode(), b"") == PAGE
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in headers.policy("localhost")


@pytest.mark.parametrize(
    ("body", "kind", "accept"),
    [
        (b"<html><head></head>a report</html>", b"text/html", b"text/html"),
        (PAGE, b"application/octet-stream", b"text/html"),
        (PAGE, b"text/html", b"*/*"),
    ],
)
def test_everything_else_stays_as_it_is(body, kind, accept):
    start, *pieces = answered(body, kind, accept)
    assert b"".join(piece["body"] for piece in pieces) == body
    assert dict(start["headers"])[b"content-length"] == str(len(body)).encode()


def test_what_is_accepted_sends_without_waiting(monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "startup", uvicorn.Server.startup)
    promptly.answer()

    async def accepted() -> int:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(lambda *_: None, lifespan="off", log_level="critical"))
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listening])
        _, writer = await asyncio.open_connection(*listening.getsockname())
        while not server.server_state.connections:
            await asyncio.sleep(0.01)
        (connection,) = server.server_state.connections
        found = connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        server.servers[0].close()
        return found

    assert asyncio.run(accepted())
