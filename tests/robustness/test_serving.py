"""The real server, over the wire: strangers' names, closed addresses, headers, and the end with its parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


class Server:
    """`fnet dashboard` on a port of its own."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "fnet_core", "dashboard", "--port", str(self.port)]
        env = os.environ | {"FNET_HOME": str(home)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)

    def ask(self, path: str, host: str = "localhost", method: str = "GET", **headers: str) -> tuple[int, HTTPResponse]:
        connection = HTTPConnection("localhost", self.port, timeout=10)
        try:
            connection.request(method, path, headers={"Host": f"{host}:{self.port}", **headers})
            answer = connection.getresponse()
            if answer.status != 101:
                answer.read()
            return answer.status, answer
        finally:
            connection.close()

    def wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            try:
                assert self.ask("/_stcore/health")[0] == 200
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail("the server did not start")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("home"))
    try:
        started.wait()
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def test_a_page_comes_with_its_headers_under_this_machines_names_alone(server):
    status, answer = server.ask("/")
    assert status == 200 and answer.getheader("X-Frame-Options") == "DENY"
    assert "frame-ancestors 'none'" in answer.getheader("Content-Security-Policy")
    for name in ("evil.example", "localhost.evil.example", "0.0.0.0"):
        assert server.ask("/", name)[0] == 421
        assert server.ask("/_stcore/health", name)[0] == 421


def test_a_websocket_that_was_rebound_is_refused(server):
    for host in ("localhost", "127.0.0.1"):
        own = f"http://{host}:{server.port}"
        assert server.ask("/_stcore/stream", host, **HANDSHAKE, Origin=own)[0] == 101
    evil = f"http://evil.example:{server.port}"
    assert server.ask("/_stcore/stream", "evil.example", **HANDSHAKE, Origin=evil)[0] == 403
    assert server.ask("/_stcore/stream", "evil.example", **HANDSHAKE)[0] == 403
    assert server.ask("/_stcore/stream", "localhost", **HANDSHAKE, Origin=evil)[0] == 403
    assert server.ask("/_stcore/stream", "localhost", **HANDSHAKE, Origin="http://localhost:1")[0] == 403


def test_what_nobody_needs_is_closed(server):
    for path in ("/_stcore/metrics", "/_stcore/agent/openapi.json", "/exports/guess"):
        assert server.ask(path)[0] == 404
    assert server.ask("/_stcore/upload_file/guess/file", method="PUT", **{"Content-Length": "0"})[0] == 413


def test_the_server_ends_with_a_command_that_is_killed(server):
    """The last of this file: it ends the server."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert children
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    _, alive = psutil.wait_procs(children, timeout=2)
    assert not alive


def test_streamlit_alone_refuses_others_without_login_too(tmp_path):
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address", "0.0.0.0"]
    command += ["--server.port", str(free_port())]
    env = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "nobody would have to log in" in done.stderr and "Traceback" not in done.stderr
