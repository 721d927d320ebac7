"""The models that FNet itself puts into the cache folder: fetched, converted, merged and saved ones."""

from pathlib import Path
from typing import Any

from fnet_core.storage.place import home

CARD = "fnet.json"
"""The file that says where a model of the cache folder comes from; it is written last."""

EDITS = "fnet-edits.json"
"""The file that says which edits were folded into a model's weights."""
PRUNING = "fnet-pruning.json"
"""The file that says what a pruned model was made of."""


def made_folder(name: str) -> Path:
    """Where the model of this name is, or will be once it is made."""
    return home() / "models" / name


def is_made(name: str) -> bool:
    """Whether the model of this name is whole in the cache folder, so that no download is needed."""
    return (made_folder(name) / CARD).is_file()


def origin(note: dict[str, Any]) -> str | None:
    """What a model was made of and how, from the notes left in its folder; None where they do not say."""
    match note:
        case {"source": {"parent": str(parent), "how": str(how)}}:
            return f"Derived from {parent} by {how}."
        case {"pruned_from": str(parent), "summary": {"parameters": {"before": int(before), "after": int(after)}}} if (
            before > 0
        ):
            return f"Pruned from {parent}: {1 - after / before:.1%} fewer parameters."
        case {"recipe": {"baked_from": str(parent)}}:
            return f"{parent} with edits of its neurons in the weights."
    return None
