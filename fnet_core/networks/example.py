"""What comes with the project: a real model's networks, to be seen before anything is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnet_core.assets import ASSETS

if TYPE_CHECKING:
    from fnet_core.networks.atlas import Atlas

EXAMPLE = "example"
"""Its key on the pages, where other atlases have their key in the store."""
EXAMPLE_FILE = ASSETS / "example" / "atlas.safetensors"
EXAMPLE_LESIONS = ASSETS / "example" / "lesions.safetensors"
"""The lesion matrix of its networks, see `reporting.stored`."""
EXAMPLE_FINGERPRINT = ASSETS / "example" / "fingerprint.safetensors"
"""The fingerprint of its model, at the defaults of fingerprints."""
EXAMPLE_MODEL = "smollm2-135m"


def example_atlas() -> Atlas:
    """The atlas of the smaller starter with every choice at its default, made by `python -m benchmarks.example`.

    Its maps are kept in half precision; `RequestError` if the file is missing or damaged.

    >>> from fnet_core.networks.example import example_atlas
    >>> example_atlas().model_name
    'smollm2-135m'
    """
    from fnet_core.networks.atlas import Atlas  # here, so that the names above load no library

    return Atlas.load(EXAMPLE_FILE)
