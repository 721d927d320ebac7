"""Save a changed model as an ordinary folder, with the code that builds it where its configuration cannot say all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fnet_core.errors import RequestError
from fnet_core.models import modeling_fnet
from fnet_core.storage import artifacts

CODE = "modeling_fnet.py"

LONGEST_NAME = 200
"""Bytes of a folder's name; file systems take 255, and the unfinished folder's name is longer."""


def check_names(folder: Path) -> None:
    """RequestError when a part of the path is too long to be saved under."""
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(folder).parts):
        raise RequestError(f"A folder's name of more than {LONGEST_NAME} bytes cannot be saved; give a shorter one.")


def new_folder(folder: Path) -> Path:
    """A folder to save in; RequestError if something is there already or its name cannot be one."""
    check_names(folder)
    folder = Path(folder).expanduser()
    try:
        if folder.exists():
            raise RequestError(f"{folder} exists already; choose a new folder.")
    except OSError as error:
        raise RequestError(f"{folder} cannot be a folder ({error.strerror}); choose another name.") from None
    return folder


@contextmanager
def saving_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Iterator[Path]:
    """Save both in a new folder, yield it to put more files in, and let it appear whole once the block ends well.

    Raises RequestError for a folder that exists, also when it appeared meanwhile, cannot be written, or a full disk.
    """
    folder = new_folder(folder)
    with artifacts.disk_errors(folder.parent), artifacts.atomic_folder(folder, only_new=True) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        if needs_code(model):
            (temporary / CODE).write_text(Path(modeling_fnet.__file__).read_text("utf-8"), "utf-8")
        yield temporary


def needs_code(model: PreTrainedModel) -> bool:
    """Whether the model's configuration alone cannot describe it, so that it is loaded through its own code."""
    return bool(getattr(model.config, "fnet_resized", None))
