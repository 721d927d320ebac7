"""An atlas by what a person calls it: a file, the one that comes with the project, or its key in the store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from fnet_core.errors import RequestError
from fnet_core.networks.annotations import annotated
from fnet_core.networks.example import EXAMPLE, EXAMPLE_FILE
from fnet_core.storage import artifacts

if TYPE_CHECKING:
    from fnet_core.networks.atlas import Atlas

LEAST_LETTERS = 6
"""Of a key, to name one atlas."""


def atlas_file(name: str) -> Path:
    """The file of an atlas that a person names; RequestError where there is none, or a key names several."""
    if name == EXAMPLE:
        return EXAMPLE_FILE
    path = Path(name).expanduser()
    if path.is_file() or path.suffix or not re.fullmatch(rf"[0-9a-f]{{{LEAST_LETTERS},64}}", name):
        return path
    from fnet_core.networks.atlas import KIND  # here, so that a missing file is refused without a library

    found = [file for file in artifacts.list_artifacts(KIND) if file.stem.startswith(name)]
    if len(found) != 1:
        raise RequestError(
            f"'{name[:16]}' begins the keys of {len(found)} kept atlases; give the key of one, a file, or '{EXAMPLE}'."
        )
    return found[0]


def opened(name: str) -> Atlas:
    """The atlas that a person names, with what is kept of its labels; RequestError as `atlas_file` and `Atlas.load`.

    >>> from fnet_core.networks.opening import opened
    >>> opened("example").model_name
    'smollm2-135m'
    """
    from fnet_core.networks.atlas import Atlas

    return annotated(Atlas.load(atlas_file(name)))
