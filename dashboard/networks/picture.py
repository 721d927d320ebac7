"""The scan of a saved atlas as a small picture, by which one is told from another in a list."""

import numpy as np
import streamlit as st

from dashboard import atlases
from dashboard.atlases import SavedAtlas
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import scan

WIDTH, HEIGHT = 128, 48


@st.cache_data(max_entries=64, show_spinner=False)
def of(saved: SavedAtlas) -> np.ndarray | None:
    """The picture, (`HEIGHT`, `WIDTH`, 4) uint8; None for a file that cannot be read, which its page says."""
    try:
        atlas = Atlas.load(atlases.file_of(saved.key))  # not kept in memory, as those that are opened are
    except RequestError:
        return None
    return scan.picture(atlas, DEFAULT_THRESHOLD, WIDTH, HEIGHT)
