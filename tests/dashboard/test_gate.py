"""The gate before every request: names, pages of other servers, closed addresses, headers, uploads."""

import asyncio
from types import SimpleNamespace

import pytest
from streamlit.runtime import Runtime

from dashboard import owner
from dashboard.serving import gate, uploads
from dashboard.serving.gate import Gate

UPLOAD = "/_stcore/upload_file/one/file"


async def pages(scope, receive, send):
    """What stands behind the gate."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
    await send({"type": "http.response.body", "body": b"page"})


def asked(path: str = "/", kind: str = "http", method: str = "GET", server: str = "127.0.0.1", **headers: str):
    """What is sent to a request with these headers."""
    sent: list[dict] = []
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "path": path, "headers": listed, "server": (server, 8501)}
    scope |= {"method": method, "query_string": b""} if kind == "http" else {"subprotocols": []}

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(Gate(pages)(scope, receive, send))
    return sent


def status(*arguments, **more) -> int:
    return asked(*arguments, **more)[0]["status"]


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch):
    monkeypatch.delenv("FNET_HOSTS", raising=False)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1:8501", "[::1]:8501", "localhost."])
def test_this_machines_own_names(host):
    assert status(host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8501", "localhost.evil.example", "0.0.0.0", "10.0.0.1", "", "a@localhost"]
)
def test_other_names_are_refused_for_pages_and_websockets(host):
    start, body = asked(host=host)
    assert start["status"] == 421 and b"FNET_HOSTS" in body["body"] and host.encode() not in body["body"].split()
    (closed,) = asked("/_stcore/stream", kind="websocket", host=host, origin=f"http://{host}")
    assert closed["type"] == "websocket.close"


def test_no_name_and_two_names_are_refused():
    assert status() == 421
    scope = {"type": "http", "path": "/", "method": "GET", "headers": [(b"host", b"localhost")] * 2, "server": None}
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Gate(pages)(scope, None, send))
    assert sent[0]["status"] == 421


def test_names_of_the_variable_and_the_address_that_was_reached(monkeypatch):
    monkeypatch.setenv("FNET_HOSTS", "fnet.example.org")
    assert status(host="fnet.example.org") == 200
    assert status(host="other.example.org") == 421
    assert status(host="192.168.1.7:8501", server="192.168.1.7") == 200
    assert status(host="192.168.1.7:8501", server="::ffff:192.168.1.7") == 200
    monkeypatch.setattr(gate.config, "get_option", lambda name: "fnet.lan")
    assert status(host="fnet.lan:8501") == 200


@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        ("http://localhost:8501", True),
        ("https://localhost:8501", True),
        ("http://localhost:9999", False),
        ("http://localhost", False),
        ("http://evil.example", False),
        ("null", False),
        ("file://localhost:8501", False),
        ("http://[", False),
    ],
)
def test_a_page_of_another_server_cannot_ask(origin, passes):
    assert status(host="localhost:8501", origin=origin) == (200 if passes else 403)
    (answer,) = asked("/_stcore/stream", kind="websocket", host="localhost:8501", origin=origin)
    assert answer["type"] == ("websocket.accept" if passes else "websocket.close")


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/metrics/", "/base/_stcore/metrics", "/_stcore/agent/x"])
def test_what_is_closed(path):
    assert status(path, host="localhost") == 404


def test_every_answer_has_the_headers_and_none_of_the_pages_own_kind():
    for start in (asked(host="localhost:8501")[0], asked(host="evil.example")[0]):
        headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
        found = dict(headers)
        assert [value for name, value in headers if name == "x-frame-options"] == ["DENY"]
        assert found["x-content-type-options"] == "nosniff"
        policy = dict(part.split(" ", 1) for part in found["content-security-policy"].split("; "))
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert "unsafe-eval" not in policy["script-src"].replace("wasm-unsafe-eval", "")
        assert "unsafe-inline" not in policy["script-src"] and "sha256-" in policy["script-src"]
        assert "evil" not in found["content-security-policy"]


def test_a_refused_name_is_logged_once_and_in_one_line(caplog):
    keeper = Gate(pages)
    scope = {"type": "http", "path": "/", "method": "GET", "server": None}

    async def send(message):
        pass

    with caplog.at_level("WARNING", logger="fnet_core"):
        for number in range(300):
            host = f"evil\x1b[2J{number // 2}.example".encode()
            asyncio.run(keeper(scope | {"headers": [(b"host", host)]}, None, send))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 100 and told[0] == "refused a request: host evil\\x1b[2J0.example"


@pytest.fixture
def visitors(monkeypatch) -> dict[str, dict[str, SimpleNamespace]]:
    """What is uploaded, by session; sessions one and two are anna's, three is ben's."""
    kept: dict[str, dict[str, SimpleNamespace]] = {}
    runtime = SimpleNamespace(uploaded_file_mgr=SimpleNamespace(file_storage=kept))
    monkeypatch.setattr(Runtime, "instance", lambda: runtime)
    monkeypatch.setattr(owner, "_of_sessions", {"one": "anna", "two": "anna", "three": "ben"})
    monkeypatch.setattr(uploads, "OF_ONE", 100)
    monkeypatch.setattr(uploads, "OF_ALL", 150)
    return kept


def put(session: str, length: str) -> int:
    path = f"/_stcore/upload_file/{session}/file"
    return status(path, method="PUT", host="localhost", **({"content_length": length} if length else {}))


def test_uploads_of_one_person_and_of_all_are_bounded(visitors):
    assert put("one", "100") == 200 and put("one", "101") == 413
    visitors["one"] = {"file": SimpleNamespace(data=b"x" * 60)}
    assert put("two", "41") == 413 and put("two", "40") == 200
    assert put("three", "90") == 200 and put("three", "91") == 413
    with uploads.under_way("three", 80):
        assert put("three", "20") == 413 and put("one", "20") == 413 and put("one", "10") == 200
    assert put("three", "90") == 200


def test_an_upload_needs_a_page_and_its_length(visitors):
    assert put("nobody", "1") == put("one", "") == put("one", "-1") == put("one", "²") == 413
