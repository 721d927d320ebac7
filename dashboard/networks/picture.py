"""The scan of a saved atlas as a small picture, by which one is told from another in a list."""

from pathlib import Path

import numpy as np
import streamlit as st

from dashboard import atlases
from dashboard.atlases import SavedAtlas
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import scan

WIDTH, HEIGHT = 128, 48
LARGEST = 64_000_000
"""Bytes of a file that is read for its picture; the list would wait for a larger one."""


def of(saved: SavedAtlas) -> np.ndarray | None:
    """The picture, (`HEIGHT`, `WIDTH`, 4) uint8; None for a file that is large, gone, or cannot be read."""
    path = atlases.file_of(saved.key)
    try:
        file = path.stat()
    except OSError:
        return None
    return _drawn(str(path), file.st_mtime_ns) if file.st_size <= LARGEST else None


@st.cache_data(max_entries=64, show_spinner=False)
def _drawn(path: str, changed: int) -> np.ndarray | None:
    try:
        atlas = Atlas.load(Path(path))  # not kept in memory, as those that are opened are
    except RequestError:
        return None
    return scan.picture(atlas, DEFAULT_THRESHOLD, WIDTH, HEIGHT)
