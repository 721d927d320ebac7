"""What each person has saved, and how much that may be where several share a server; a saved model as a download."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit import config

from dashboard import owner, words
from dashboard.serving import archive, login
from fnet_core.errors import RequestError
from fnet_core.serving import is_local, named_hosts
from fnet_core.storage.atomic import atomic_file
from fnet_core.storage.place import home

VARIABLE = "FNET_EXPORTS_GB"
DEFAULT_GB = 20.0


def is_shared() -> bool:
    """Whether others than the person who started this server may use it."""
    return bool(login.settings() or named_hosts()) or not is_local(config.get_option("server.address"))


def begin() -> Callable[[Path], None]:
    """What notes the folder that the person of this session is about to save; RequestError where they have no room."""
    person = owner.current()
    if is_shared():
        limit = 1e9 * _gigabytes()
        if (used := sum(_size(folder) for folder in _noted(person))) >= limit:
            raise RequestError(
                f"Your saved models fill {words.size(used)}, and {words.size(int(limit))} are for each person; ask "
                f"whoever runs this server to remove some, or to start it with a larger {VARIABLE}."
            )
    return partial(_note, person)


def download(folder: Path) -> None:
    """The link that downloads a saved model as one file."""
    if folder.is_dir():
        label = f"Download (tar, {words.size(archive.size(folder))})"
        st.link_button(label, archive.offer(folder), icon=":material/download:")


def _gigabytes() -> float:
    with suppress(ValueError):
        return float(os.environ.get(VARIABLE) or DEFAULT_GB)
    raise RequestError(f"{VARIABLE} is no number of gigabytes; start the server with one, such as {DEFAULT_GB:g}.")


def _ledger(person: str) -> Path:
    return home() / "owners" / f"{person}.json"


def _noted(person: str) -> list[Path]:
    """The folders that a person has saved; an unreadable list counts as none."""
    try:
        found = json.loads(_ledger(person).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [Path(name) for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _note(person: str, folder: Path) -> None:
    kept = [str(known) for known in _noted(person) if known.is_dir() and known != folder]
    _ledger(person).parent.mkdir(exist_ok=True)
    with atomic_file(_ledger(person)) as part:
        part.write_text(json.dumps([*kept, str(folder)]), "utf-8")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
