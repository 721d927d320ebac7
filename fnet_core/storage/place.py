"""Where everything that FNet keeps lies."""

import os
from pathlib import Path

import platformdirs

from fnet_core.errors import RequestError


def home() -> Path:
    """The cache folder: FNET_HOME or the system's, created; `RequestError` if it is not writable."""
    folder = Path(os.environ.get("FNET_HOME") or platformdirs.user_cache_dir("fnet")).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise RequestError(f"The cache folder {folder} is not writable; set FNET_HOME to a folder that is.")
    return folder
