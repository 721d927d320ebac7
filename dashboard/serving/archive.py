"""A saved model as one file to download: a tar archive that is read from the folder while it is sent."""

import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from streamlit import config
from streamlit.url_util import make_url_path

from dashboard import owner

_OFFERED = 500
_PIECE = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_folders: dict[str, Path] = {}
"""The folders on offer, by the secret that their address holds; the oldest gives way."""
_secrets: dict[tuple[str, Path], str] = {}


def offer(folder: Path) -> str:
    """The address, relative to the page, at which who is told it gets the folder; one for each person and folder."""
    key = (owner.current(), folder)
    secret = _secrets.get(key)
    if secret is None or secret not in _folders:
        secret = _secrets[key] = secrets.token_urlsafe(24)
        _folders[secret] = folder
        while len(_folders) > _OFFERED:
            _folders.pop(next(iter(_folders)), None)
    return f"exports/{secret}"


def size(folder: Path) -> int:
    """Bytes of the archive of a folder."""
    return sum(len(_head(path, folder)) + _padded(path.stat().st_size) for path in _files(folder)) + 2 * _BLOCK


def pieces(folder: Path) -> Iterator[bytes]:
    """The archive, a piece at a time; it names nobody of this machine. OSError for a file that shrank meanwhile."""
    for path in _files(folder):
        yield _head(path, folder)
        left = length = path.stat().st_size
        with open(path, "rb") as file:
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise OSError(f"{path.name} became shorter while it was read")
                left -= len(piece)
                yield piece
        yield bytes(_padded(length) - length)
    yield bytes(2 * _BLOCK)


def routes() -> list[Route]:
    """Where the archives are."""
    base = config.get_option("server.baseUrlPath") or ""
    return [Route(make_url_path(base, "exports/{secret}"), _send, methods=["GET"])]


def _send(request: Request) -> Response:
    folder = _folders.get(request.path_params["secret"])
    if folder is None or not folder.is_dir():
        return PlainTextResponse("This export is offered no more; open the page again.", 404)
    return StreamingResponse(
        pieces(folder),
        media_type="application/x-tar",
        headers={
            "content-disposition": f"attachment; filename*=UTF-8''{quote(folder.name)}.tar",
            "content-length": str(size(folder)),
            "cache-control": "no-store",
        },
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _head(path: Path, folder: Path) -> bytes:
    told, stat = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}"), path.stat()
    told.size, told.mode, told.mtime = stat.st_size, 0o644, int(stat.st_mtime)
    return told.tobuf(tarfile.GNU_FORMAT)


def _padded(length: int) -> int:
    return -(-length // _BLOCK) * _BLOCK
