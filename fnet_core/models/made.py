"""The models that FNet itself puts into the cache folder: fetched, converted, merged and saved ones."""

from pathlib import Path

from fnet_core.storage.place import home

CARD = "fnet.json"
"""The file that says where a model of the cache folder comes from; it is written last."""


def made_folder(name: str) -> Path:
    """Where the model of this name is, or will be once it is made."""
    return home() / "models" / name


def is_made(name: str) -> bool:
    """Whether the model of this name is whole in the cache folder, so that no download is needed."""
    return (made_folder(name) / CARD).is_file()
