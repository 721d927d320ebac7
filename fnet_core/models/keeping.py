"""Models that FNet makes once and keeps: held against their own note at every use, and made again where they differ."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fnet_core.errors import RequestError
from fnet_core.models.folder import fits_card, read_card
from fnet_core.models.made import CARD
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import atomic_folder
from fnet_core.storage.locks import exclusive

log = logging.getLogger(__name__)


def kept_model(
    folder: Path,
    make: Callable[[Path], None],
    report: Report = silent,
    belongs: Callable[[dict[str, Any]], bool] = lambda note: True,
) -> Path:
    """The folder, which `make` fills unless it is there and as it was made; files are read again once they are touched.

    `make` gets a new folder and leaves a note in it. `belongs` tells by the note whether a folder is what is made now.
    What was changed, cut or taken away is made again in its place, and one line says so; `RequestError` if it cannot.
    """
    if _is_whole(folder, belongs, report):
        return folder
    with exclusive(folder.name, report):
        if _is_whole(folder, belongs, report):
            return folder
        damaged = folder.is_dir()
        try:
            _made_anew(folder, make)
        except RequestError as error:
            if not damaged:
                raise
            raise RequestError(f"{folder} is not as this FNet makes it, and making it again failed: {error}") from error
        if damaged:
            log.warning(f"{folder.name} was not as this FNet makes it (its files were changed) and was made again.")
    return folder


def _is_whole(folder: Path, belongs: Callable[[dict[str, Any]], bool], report: Report) -> bool:
    try:
        return (folder / CARD).is_file() and belongs(read_card(folder)) and fits_card(folder, report)
    except RequestError:
        return False


def _made_anew(folder: Path, make: Callable[[Path], None]) -> None:
    """Fill the folder whole or leave it as it is; what stood there before is removed."""
    earlier = folder.with_name(f".{folder.name}.earlier")
    with atomic_folder(folder) as temporary:
        make(temporary)
        if folder.is_dir():
            shutil.rmtree(earlier, ignore_errors=True)
            folder.rename(earlier)
    shutil.rmtree(earlier, ignore_errors=True)
