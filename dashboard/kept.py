"""Answers that the store has, for the pages: read once for as long as their file is not touched."""

from typing import Any

import streamlit as st

from fnet_core.storage import memo
from fnet_core.storage.memo import Kind


def answer(kind: Kind, recipe: dict[str, Any] | None) -> Any:
    """The kept answer to a question, seen as soon as it is there; None without one, and for no question."""
    if recipe is None or not (path := kind.path(recipe)).is_file():
        return None
    return _read(str(path), path.stat().st_mtime_ns, kind, recipe)


@st.cache_resource(max_entries=16, show_spinner=False)
def _read(path: str, changed: int, _kind: Kind, _recipe: dict[str, Any]) -> Any:
    return memo.known(_kind, _recipe)
