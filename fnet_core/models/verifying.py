"""Every byte of the models that FNet made, held against what it noted when it made them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from fnet_core.errors import RequestError
from fnet_core.models.folder import fits_card, read_card, weight_files
from fnet_core.models.made import CARD
from fnet_core.models.tokenizer_files import tokenizer_files
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import file_digest, forget_digest, home

SENTENCES = {
    "whole": "as it was made",
    "changed": "changed since it was made; a model that FNet fetches or converts is made again at its next use",
    "unnoted": "no note of FNet to hold it against",
}


@dataclass(frozen=True)
class Verified:
    """A model folder, and whether it is as it was made."""

    name: str
    state: Literal["whole", "changed", "unnoted"]

    @property
    def sentence(self) -> str:
        """The state in words."""
        return SENTENCES[self.state]


def verify(folder: Path, report: Report = silent) -> Verified:
    """Read a model's files whole, whatever was remembered of them; what is remembered of a changed one is forgotten."""
    if not (folder / CARD).is_file():
        return Verified(folder.name, "unnoted")
    try:
        read_card(folder)
        whole = fits_card(folder, file_digest=partial(file_digest, report=report))
    except RequestError:
        whole = False
    if not whole:
        for path in _files(folder):
            forget_digest(path)
    return Verified(folder.name, "whole" if whole else "changed")


def verify_all(report: Report = silent) -> Iterator[Verified]:
    """Every model folder in the cache folder, one after the other."""
    for folder in sorted((home() / "models").glob("[!.]*")):
        if folder.is_dir():
            yield verify(folder, report)


def _files(folder: Path) -> list[Path]:
    try:
        return [*weight_files(folder), *tokenizer_files(folder)]
    except RequestError:
        return []
