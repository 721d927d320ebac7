"""Every stored question is answered in one way: from the store, or computed, kept, and answered from there next time.

A file that cannot be read, for whatever reason, never stands in the way: it is computed anew and replaced, and one line
in the log says so.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from fnet_core._version import __version__
from fnet_core.storage import artifacts, atomic, library

log = logging.getLogger(__name__)
_afresh = ContextVar("afresh", default=False)


@contextmanager
def afresh() -> Iterator[None]:
    """Inside, this thread finds nothing in the store and keeps nothing in it: every answer is computed."""
    token = _afresh.set(True)
    try:
        yield
    finally:
        _afresh.reset(token)


class Keepable(Protocol):
    """A result that writes itself to one file, whole or not at all."""

    def save(self, path: Path) -> None:
        """Write the result to `path`."""


Kept = TypeVar("Kept", bound=Keepable)


@dataclass(frozen=True)
class Kind(Generic[Kept]):
    """One kind of answer: where it is kept, how it is read, and what of a recipe decides it."""

    name: str
    load: Callable[[Path], Kept]
    """Reads a file; raises ValueError (RequestError), KeyError or TypeError for one that is not such an answer."""
    format: int
    keyed_since: int
    """The format whose keys do not name it, since they were made before keys did; a later one stands in the key."""
    names: frozenset[str] = frozenset()
    """What people know things by: entries of a recipe that decide nothing."""

    def key(self, recipe: dict[str, Any]) -> str:
        """The digest of all that decides an answer; the recipe's names and FNet's version do not."""
        deciding = {name: value for name, value in recipe.items() if name not in self.names | {"fnet"}}
        if self.format > self.keyed_since:
            deciding["format"] = self.format
        return artifacts.digest(deciding)

    def path(self, recipe: dict[str, Any]) -> Path:
        """Where the answer is kept, or would be."""
        return artifacts.artifact_path(self.name, self.key(recipe))


@dataclass(frozen=True)
class Found(Generic[Kept]):
    """An answer, and the file that keeps it."""

    answer: Kept
    path: Path
    computed: bool
    """False when the store already had it."""


def versions(*packages: str) -> dict[str, str]:
    """The installed versions of these packages, as they stand in recipes."""
    return {package: installed(package) for package in packages}


@cache
def installed(package: str) -> str:
    """The installed version of a package; its metadata is parsed once, for that takes longer than all else of a key."""
    return version(package)


def stamped(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with the version of FNet that answers it, which decides nothing."""
    return recipe | {"fnet": __version__}


def known(kind: Kind[Kept], recipe: dict[str, Any], suffices: Callable[[Kept], bool] = lambda _: True) -> Kept | None:
    """The answer if the store has it in a file that can be read, and if what that holds `suffices`."""
    path = kind.path(recipe)
    answer, _ = (None, "") if _afresh.get() else _read(kind, path)
    if answer is not None and not suffices(answer):
        return None
    if answer is not None:
        log.info("%s: answered from the store, %s", kind.name, path)
        library.used(path)
    return answer


def keep(kind: Kind[Any], recipe: dict[str, Any], answer: Keepable) -> Path:
    """Keep an answer, in place of a file that could not be read; one line in the log tells of that. Its file."""
    path = kind.path(recipe)
    if _afresh.get():
        return path
    _, problem = _read(kind, path)
    atomic.move_aside(path)
    answer.save(path)
    log.info("%s: kept as %s", kind.name, path)
    library.kept(path)
    if problem:
        log.warning("A kept %s could not be read and was made again (%s)", kind.name, problem)
    return path


@dataclass(frozen=True)
class _Arrived:
    """A file as another store wrote it."""

    content: bytes

    def save(self, path: Path) -> None:
        with artifacts.atomic_file(path) as temporary:
            temporary.write_bytes(self.content)


def adopt(kind: Kind[Kept], content: bytes, recipe_of: Callable[[Kept], dict[str, Any]]) -> Found[Kept]:
    """Keep what another store kept, given the bytes of its file, which is checked as any other and stays as it is.

    RequestError for bytes that are no such answer.
    """
    with tempfile.TemporaryDirectory(prefix="fnet-") as folder:
        path = Path(folder) / "arrived.safetensors"
        path.write_bytes(content)
        answer = kind.load(path)
    return Found(answer, keep(kind, recipe_of(answer), _Arrived(content)), computed=True)


def found(
    kind: Kind[Kept], recipe: dict[str, Any], suffices: Callable[[Kept], bool] = lambda _: True
) -> Found[Kept] | None:
    """`known`, with the file that keeps it."""
    answer = known(kind, recipe, suffices)
    return None if answer is None else Found(answer, kind.path(recipe), computed=False)


def answered(
    kind: Kind[Kept],
    recipe: dict[str, Any],
    compute: Callable[[], Kept],
    suffices: Callable[[Kept], bool] = lambda _: True,
) -> Found[Kept]:
    """The answer to a stored question, kept or computed; what `compute` raises leaves no trace.

    A kept answer that does not suffice is computed again and replaced.
    """
    if kept := found(kind, recipe, suffices):
        return kept
    made = compute()
    return Found(made, keep(kind, recipe, made), computed=True)


def _read(kind: Kind[Kept], path: Path) -> tuple[Kept | None, str]:
    """The answer in a file, or why there is none although something is there."""
    if not os.path.lexists(path):
        return None, ""
    try:
        return kind.load(path), ""
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        return None, " ".join(str(error).split()) or type(error).__name__
