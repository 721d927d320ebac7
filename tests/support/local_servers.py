"""Web servers on this machine in place of the package index and the model hub: real requests, no network."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def answer(self, status: int, body: bytes, headers: dict[str, str], pause: float = 0.0) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        step = max(len(body) // 100, 1) if pause else max(len(body), 1)
        for start in range(0, len(body), step):
            try:
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                return
            time.sleep(pause)


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def package_index(files: dict[str, bytes], pause: float = 0.0) -> Iterator[tuple[str, list[str]]]:
    """Serve wheels by file name, in 100 pieces `pause` seconds apart; yield (index URL, files asked for)."""
    asked: list[str] = []

    class Index(_Quiet):
        def do_GET(self) -> None:
            name = self.path.rstrip("/").rpartition("/")[2]
            if name in files:
                asked.append(name)
                self.answer(200, files[name], {"Content-Type": "application/octet-stream"}, pause)
                return
            wanted = [file for file in files if file.split("-")[0].replace("_", "-") == name]
            links = "".join(f'<a href="/files/{file}">{file}</a><br>' for file in wanted)
            page = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
            self.answer(200 if wanted else 404, page, {"Content-Type": "text/html"})

    with _serving(Index) as url:
        yield f"{url}/simple", asked


@contextmanager
def model_hub(
    repository: str, files: dict[str, bytes], *, gated: bool = False, status: int = 200, pause: float = 0.0
) -> Iterator[tuple[str, list[str]]]:
    """Serve one repository; yield (endpoint, files asked for); every answer has `status`."""
    commit = hashlib.sha1(repository.encode()).hexdigest()
    asked: list[str] = []

    class Hub(_Quiet):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if status != 200:
                self.answer(status, b"{}", {})
            elif path.startswith(f"/api/models/{repository}/tree/"):
                self.answer(200, json.dumps(_tree(files)).encode(), {"Content-Type": "application/json"})
            elif path.startswith(f"/api/models/{repository}"):
                facts = _facts(repository, commit, files, gated)
                self.answer(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})
            elif path.startswith(f"/{repository}/resolve/"):
                self._file(path.split("/", 5)[5])
            else:
                self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _file(self, name: str) -> None:
            if gated:
                self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
            elif name not in files:
                self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            else:
                if self.command == "GET":
                    asked.append(name)
                etag = hashlib.sha1(files[name]).hexdigest()
                headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit}
                self.answer(200, files[name], headers, pause if name.endswith(".safetensors") else 0.0)

    with _serving(Hub) as url:
        yield url, asked


def _facts(repository: str, commit: str, files: dict[str, bytes], gated: bool) -> dict:
    siblings = [{"rfilename": name, "size": len(body)} for name, body in files.items()]
    return {
        "id": repository,
        "sha": commit,
        "private": False,
        "gated": "manual" if gated else False,
        "siblings": siblings,
        "cardData": {"license": "apache-2.0"},
        "tags": [],
        "downloads": 0,
        "likes": 0,
    }


def _tree(files: dict[str, bytes]) -> list[dict]:
    return [
        {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
        for name, body in files.items()
    ]
