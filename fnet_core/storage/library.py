"""What FNet keeps, as a library: what is there, what it is called, how large it may grow, and what goes first.

A limit holds for everything but models. What can be computed again goes first, the longest unused before the others;
what a person made, imported or named never goes by itself.
"""

import json
import logging
import os
import re
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fnet_core.errors import RequestError
from fnet_core.storage import artifacts
from fnet_core.storage.atomic import atomic_file, disk_errors, move_aside
from fnet_core.storage.place import home
from fnet_core.storage.sealed import sealed, unsealed

log = logging.getLogger(__name__)

LIMIT_BYTES = 20 * 10**9
"""Of all that is kept but models, unless a person or FNET_LIBRARY_LIMIT says otherwise."""
LEAST_LIMIT, MOST_LIMIT = 10**6, 10**15
LIMIT_VARIABLE = "FNET_LIBRARY_LIMIT"
"""Such as "500 MB" or "20 GB"; it wins over what was set on the Library page."""
LONGEST_NAME = 80

COMPUTED = (
    *("atlas", "fingerprint", "pair", "recurrence", "singles", "perplexity", "prune-scores", "layer-factors"),
    *("asked", "capabilities", "lesions", "preservation", "fingerprint-index", "logits"),
)
"""Kinds that can be computed again."""
MADE = ("atlas-upload", "fingerprint-upload", "plan", "edits", "labels")
"""Kinds that a person saved or imported."""
TITLES = {
    "atlas": "Atlases",
    "fingerprint": "Fingerprints",
    "plan": "Plans",
    "edits": "Edits",
    "labels": "Labels",
    "measurement": "Measurements",
}
"""The shelves, by what stands on them."""
_SHELVES = {
    "atlas": "atlas",
    "atlas-upload": "atlas",
    "fingerprint": "fingerprint",
    "fingerprint-upload": "fingerprint",
    "plan": "plan",
    "edits": "edits",
    "labels": "labels",
}
_TEXTS = ("plan", "edits", "labels")
"""Kinds that are JSON texts; the others are safetensors files."""
BY_TEXT = ("plan", "edits")
"""Kinds whose keys are the digest of their text."""
_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_told: set[str] = set()
_UNCOUNTED_BYTES = 64 * 10**6
"""What may be added before the library is measured again, or a hundredth of the limit if that is less."""


@dataclass(frozen=True)
class Entry:
    """One thing that is kept."""

    kind: str
    key: str
    path: Path
    size: int
    """Bytes."""
    made: float
    """When it was written, seconds since 1970."""
    used: float
    """When it was last read as an answer, likewise."""
    name: str | None
    """What a person called it."""

    @property
    def shelf(self) -> str:
        """Which of `TITLES` it stands under."""
        return _SHELVES.get(self.kind, "measurement")

    @property
    def computed(self) -> bool:
        """Whether it can be computed again and bears no name: it may go by itself."""
        return self.kind in COMPUTED and self.name is None


@dataclass(frozen=True)
class Library:
    """Everything that is kept at one moment, newest first."""

    entries: tuple[Entry, ...]
    limit: int
    """Bytes."""

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.size for entry in self.entries)

    @property
    def made_size(self) -> int:
        """Bytes of what never goes by itself."""
        return sum(entry.size for entry in self.entries if not entry.computed)

    @property
    def full(self) -> str:
        """Why nothing more can be saved, in a sentence; empty while there is room or something may go."""
        return _full(self.made_size, self.limit) if self.made_size >= self.limit else ""


def library() -> Library:
    """What is kept now; files that go while it is looked at are left out."""
    names = _read_settings()["names"]
    entries = []
    with disk_errors(home()):
        for kind in (*COMPUTED, *MADE):
            for path in (home() / kind).glob(f"*{_ending(kind)}"):
                with suppress(FileNotFoundError):
                    state = path.stat()
                    name = names.get(f"{kind}/{path.stem}")
                    use = max(state.st_mtime, _last_use(path))
                    entries.append(Entry(kind, path.stem, path, state.st_size, state.st_mtime, use, name))
    return Library(tuple(sorted(entries, key=lambda entry: -entry.made)), limit())


def is_text(kind: str) -> bool:
    """Whether things of this kind are JSON texts and not safetensors files."""
    return kind in _TEXTS


def entry_of(kind: str, key: str) -> Entry:
    """One thing that is kept; RequestError where it is not there."""
    found = next((e for e in library().entries if (e.kind, e.key) == (kind, key)), None)
    if found is None:
        raise RequestError(f"There is no {kind} '{key[:16]}' in the library; it may have been removed.")
    return found


def rename(entry: Entry, name: str) -> None:
    """Call an entry by a name, or by none where it is empty; a named one never goes by itself."""
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME:
        raise RequestError(f"A name of {len(name)} characters is too long; give one of {LONGEST_NAME} at most.")
    settings = _read_settings()
    settings["names"].pop(f"{entry.kind}/{entry.key}", None)
    if name:
        settings["names"][f"{entry.kind}/{entry.key}"] = name
    _write_settings(settings)


def delete(entry: Entry) -> None:
    """Remove an entry for good, and its name."""
    with disk_errors(entry.path.parent):
        _remove(entry.path)
    if entry.name:
        rename(entry, "")


def add_text(kind: str, text: str, name: str = "") -> Entry:
    """Keep a plan or edits that a person made; RequestError where the library is full."""
    assert is_text(kind)
    key = artifacts.digest([kind, text])
    path = home() / kind / f"{key}{_ending(kind)}"
    if not path.is_file():
        check_room(len(text.encode()))
        with atomic_file(path) as temporary:
            temporary.write_text(text, "utf-8")
    if name.strip():
        rename(entry_of(kind, key), name)
    return entry_of(kind, key)


def limit() -> int:
    """Bytes that the library may hold; RequestError for a variable that means none."""
    if told := os.environ.get(LIMIT_VARIABLE):
        return parse_limit(told)
    return _read_settings()["limit"]


def set_limit(size: int) -> None:
    """Let the library grow to so many bytes, and make room at once where it is larger."""
    _check_limit(size)
    _write_settings(_read_settings() | {"limit": size})
    make_room()


def parse_limit(text: str) -> int:
    """Bytes as people write them, "500 MB" or "20 GB"; RequestError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]b)\s*", text.lower())
    if not found:
        raise RequestError(f"The limit '{text[:40]}' is no size; write one such as 500 MB or 20 GB ({LIMIT_VARIABLE}).")
    size = int(float(found[1]) * _UNITS[found[2]])
    _check_limit(size)
    return size


def make_room(needed: int = 0, spared: Collection[Path] = ()) -> list[Path]:
    """Remove what can be computed again, longest unused first, until `needed` bytes more fit; what was removed.

    `spared` files stay. Where that does not suffice the rest stays too: `Library.full` says why.
    """
    found = library()
    over = found.size + needed - found.limit
    removed = []
    for entry in sorted(found.entries, key=lambda entry: entry.used):
        if over <= 0:
            break
        if entry.computed and entry.path not in spared:
            with disk_errors(entry.path.parent):
                _remove(entry.path)
            over -= entry.size
            removed.append(entry.path)
    return removed


def check_room(needed: int) -> None:
    """RequestError unless so many bytes of what a person made fit, once what can be computed again has made room."""
    make_room(needed)
    found = library()
    if found.size + needed > found.limit:
        raise RequestError(_full(found.made_size, found.limit))


def kept(path: Path) -> None:
    """Note that an answer was kept in a file, and make room for it now and then."""
    with suppress(OSError, RequestError):
        if _GAUGE.passes(path.stat().st_size, limit()):
            make_room(spared=(path,))


def used(path: Path) -> None:
    """Note that an answer was read from a file: it is the last to go.

    The note is the time of an empty file; the answer's own times say when it was made, and when anybody looked at it.
    """
    with suppress(OSError, RequestError):
        note = _note(path)
        note.parent.mkdir(exist_ok=True)
        note.touch()


def _note(path: Path) -> Path:
    return home() / "used" / f"{path.parent.name}.{path.stem}"


def _last_use(path: Path) -> float:
    with suppress(FileNotFoundError):
        return _note(path).stat().st_mtime
    return 0.0


def _remove(path: Path) -> None:
    for each in (path, _note(path)):
        each.unlink(missing_ok=True)


class _Gauge:
    """Counts what was added since the library was last measured, which takes a look at every file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._added = 0

    def passes(self, size: int, limit: int) -> bool:
        """Whether it is time to measure again."""
        with self._lock:
            self._added += size
            if self._added < min(_UNCOUNTED_BYTES, limit // 100):
                return False
            self._added = 0
            return True


_GAUGE = _Gauge()


def _full(made: int, limit: int) -> str:
    return (
        f"The library is full: {made / 1e6:,.1f} MB of {limit / 1e6:,.1f} MB are what people made, imported or named, "
        "which never goes by itself; delete some of it on the Library page, or raise the limit there or with "
        f"{LIMIT_VARIABLE}."
    )


def _check_limit(size: int) -> None:
    if not LEAST_LIMIT <= size <= MOST_LIMIT:
        raise RequestError(f"A limit of {size:,} bytes is out of range; choose 1 MB or more, such as 20 GB.")


def _ending(kind: str) -> str:
    return ".json" if is_text(kind) else ".safetensors"


def _settings_file() -> Path:
    return home() / "library.json"


def _read_settings() -> dict[str, Any]:
    """Names and limit; those of a new library where the file is missing, or is not as it was saved, which is told."""
    names: dict[str, str] = {}
    size = LIMIT_BYTES
    with suppress(FileNotFoundError):
        try:
            found = unsealed(json.loads(_settings_file().read_text("utf-8")), "it")
            if found.keys().isdisjoint(("names", "limit")):
                raise ValueError("it says nothing of names or limit")
        except FileNotFoundError:
            raise
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            _tell_once(error)
        else:
            told = found.get("names")
            names = {k: v for k, v in told.items() if isinstance(v, str)} if isinstance(told, dict) else {}
            given = found.get("limit")
            if isinstance(given, int) and not isinstance(given, bool) and LEAST_LIMIT <= given <= MOST_LIMIT:
                size = given
    return {"names": names, "limit": size}


def _tell_once(error: Exception) -> None:
    """Say that names and limit are lost, until this process or the file is another."""
    said = " ".join(str(error).split())
    if said not in _told:
        _told.add(said)
        log.warning(f"{_settings_file()} cannot be read, so names and limit are those of a new library ({said}).")


def _write_settings(settings: dict[str, Any]) -> None:
    move_aside(_settings_file())
    with atomic_file(_settings_file()) as temporary:
        temporary.write_text(json.dumps(sealed(settings), indent=1, ensure_ascii=False, sort_keys=True), "utf-8")
