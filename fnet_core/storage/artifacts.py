"""Artifacts on disk: one safetensors file each, named by the digest of everything that affects it."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fnet_core.errors import RequestError
from fnet_core.inputs import check_plain
from fnet_core.progress import Report, silent
from fnet_core.storage import checksums
from fnet_core.storage.atomic import atomic_file, atomic_folder, disk_errors, sweep_elsewhere, sweep_folder
from fnet_core.storage.place import home
from fnet_core.storage.remembering import place, recalled, remember

__all__ = [
    "artifact_path",
    "atomic_file",
    "atomic_folder",
    "cached_file_digest",
    "check_whole",
    "digest",
    "disk_errors",
    "file_digest",
    "forget_digest",
    "home",
    "identity",
    "list_artifacts",
    "load_artifact",
    "read_header",
    "save_artifact",
    "series",
    "sweep",
]

_BLOCK_BYTES = 8 * 1024 * 1024
_METADATA_KEY = "fnet"
"""One metadata entry holds the whole header, because safetensors writes several in a random order."""


def sweep() -> list[Path]:
    """Remove what killed processes left half-written, in the cache folder or elsewhere, and return what was removed."""
    return sweep_folder(home()) + sweep_elsewhere()


def digest(value: Any) -> str:
    """SHA-256, in hex, of a JSON-able value, its keys in any order; `ValueError` for NaN or infinity."""
    return sha256(_canonical(value).encode()).hexdigest()


def file_digest(path: Path, report: Report = silent) -> str:
    """SHA-256, in hex, of a file, reported as stage `checking`; `RequestError` if it cannot be read."""
    running = sha256()
    with _reading(path), open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        while block := file.read(_BLOCK_BYTES):
            running.update(block)
            report("checking", min(file.tell() / total, 1.0) if total else 1.0)
    return running.hexdigest()


def cached_file_digest(path: Path, report: Report = silent) -> str:
    """`file_digest`, remembered in the cache folder for as long as the file is not touched.

    `RequestError` also if the file changes while it is read.
    """
    path = Path(path).resolve()
    with _reading(path):
        before = identity(path)
    name, kept = digest(before), recalled(digest(before))
    with suppress(KeyError, TypeError):
        if kept["check"] == digest([before, kept["sha256"]]):
            return kept["sha256"]
    found = file_digest(path, report)
    with _reading(path):
        if identity(path) != before:
            raise RequestError(f"{path} changed while it was being read; ask again once it is complete.")
    remember(name, {"path": str(path), "sha256": found, "check": digest([before, found])})
    return found


def forget_digest(path: Path) -> None:
    """Let a file be read again at its next use, though it looks untouched."""
    path = Path(path).resolve()
    with _reading(path):
        place(digest(identity(path))).unlink(missing_ok=True)


def artifact_path(kind: str, key: str) -> Path:
    """Where the artifact of this kind and key is kept; `RequestError` for a name that is not a plain one."""
    for name in (kind, key):
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", name):
            raise RequestError(f"{name!r} cannot name an artifact; use letters, digits, '-' and '_', at most 200.")
    return home() / kind / f"{key}.safetensors"


def list_artifacts(kind: str) -> list[Path]:
    """The kept artifacts of one kind, newest first."""
    dated = []
    for path in artifact_path(kind, "any").parent.glob("*.safetensors"):
        try:
            dated.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue
    return [path for _, path in sorted(dated, reverse=True)]


def save_artifact(
    path: Path, kind: str, arrays: dict[str, np.ndarray], header: dict[str, Any], version: int = 1
) -> None:
    """Write arrays of any shape and a JSON-able header to one safetensors file; same input, same bytes.

    `version` is the kind's format: raise it when a reader of the older files would misunderstand them.
    """
    assert not header.keys() & {"kind", "format"}, "the header's names 'kind' and 'format' are the store's"
    metadata = {_METADATA_KEY: _canonical({"kind": kind, "format": version, **header})}
    in_order = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_file(Path(path)) as temporary:
        temporary.write_bytes(checksums.added(save(in_order, metadata)))


def load_artifact(path: Path, kind: str, version: int = 1) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The (arrays, header) that `save_artifact` was given.

    `RequestError` if the file is missing, damaged, of another kind or of another format; one byte that is not as
    saved is damage.
    """
    with _opened(path, arrays=True) as (file, header):
        found, found_version = header.pop("kind"), header.pop("format")
        if found != kind:
            raise RequestError(f"{path} holds {found!r}, not {kind!r}; choose a file of kind {kind!r}.")
        if found_version > version:
            raise RequestError(
                f"{path} has format {found_version} of {kind!r} and this FNet reads {version}; update FNet."
            )
        if found_version < version:
            raise RequestError(f"{path} has the old format {found_version} of {kind!r}, not {version}; make it again.")
        try:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}, header
        except (TypeError, AttributeError) as error:
            raise RequestError(f"{path} holds a number type FNet does not save; make it again.") from error


def series(arrays: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, ...]:
    """The arrays that a file keeps as `name.0`, `name.1` and so on."""
    count = sum(key.startswith(f"{name}.") for key in arrays)
    return tuple(arrays[f"{name}.{i}"] for i in range(count))


def read_header(path: Path) -> dict[str, Any]:
    """An artifact's header with its `kind` and `format`, the arrays left alone; raises like `load_artifact`."""
    with _opened(path) as (_, header):
        return header


def check_whole(path: Path) -> None:
    """`RequestError` unless every byte of an artifact is as it was saved."""
    with _opened(path, arrays=True):
        pass


@contextmanager
def _opened(path: Path, arrays: bool = False) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open an artifact, held against its checksums, and yield (safetensors file, checked header)."""
    with _reading(path):
        with open(path, "rb") as raw:
            start = raw.read(9)
            if len(start) == 9 and not start.endswith(b"{"):
                raise RequestError(f"{path} is not a safetensors file; choose a file that FNet saved.")
            raw.seek(0)
            intact = checksums.holds(raw, arrays)
        if not intact:
            raise RequestError(f"{path} was changed after it was made: {_damaged(path.name)}")
        try:
            with safe_open(path, framework="np") as file:
                metadata = file.metadata() or {}
                if _METADATA_KEY in metadata and metadata.keys() - {_METADATA_KEY, checksums.KEY}:
                    raise RequestError(_damaged(path))
                yield file, _checked_header(path, metadata)
        except SafetensorError as error:
            raise RequestError(_damaged(path)) from error


def _damaged(path: Path | str) -> str:
    return f"{path} is cut short or damaged; copy it or make it again."


def _checked_header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata[_METADATA_KEY])
        ours = isinstance(header["kind"], str) and isinstance(header["format"], int)
    except (KeyError, TypeError, ValueError, RecursionError):
        ours = False
    if not ours:
        raise RequestError(f"{path} was not saved by FNet; choose a file that FNet saved.")
    return header


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn a missing or forbidden file into a `RequestError`."""
    try:
        with disk_errors(Path(path).parent):
            check_plain(Path(path))
            yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise RequestError(f"There is no file {path}; check the path or make it again.") from error


def identity(path: Path) -> list[str | int]:
    """Path, size and times of a file, in nanoseconds; the change time also notices a copy that kept the other one."""
    state = path.stat()
    return [str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
