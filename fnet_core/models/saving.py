"""Save a changed model as an ordinary folder, with the code that builds it where its configuration cannot say all."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fnet_core.errors import RequestError
from fnet_core.models import modeling_fnet
from fnet_core.models.folder import write_card
from fnet_core.models.made import CARD
from fnet_core.models.naming import is_inside
from fnet_core.models.older import add_older
from fnet_core.models.sources.starter_table import STARTERS
from fnet_core.serving import ROOTS
from fnet_core.storage import artifacts
from fnet_core.storage.atomic import check_names, new_folder

CODE = "modeling_fnet.py"


def destination(name: str, roots: Sequence[Path]) -> tuple[str, Path]:
    """The name by which a saved model will be known and its folder, inside FNet's own folders or one of the roots.

    Raises RequestError for no name, the name of a starter, and a folder outside the roots.
    """
    if not name:
        raise RequestError("The saved model needs a name; give one, such as smollm2-without-8.")
    check_names(Path(name))
    if name in STARTERS:
        raise RequestError(f"'{name}' is the name of a starter; choose another.")
    if re.fullmatch(r"\w[\w.-]*", name):
        return name, artifacts.home() / "models" / name
    folder = Path(name).expanduser().resolve()
    if not is_inside(folder, roots):
        raise RequestError(
            f"{name} is outside the folders that this server may use; give a plain name, or start the server with a "
            f"folder that may hold it: fnet dashboard --root FOLDER, or {ROOTS}."
        )
    return str(folder), folder


@contextmanager
def saving_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, dtype: torch.dtype | None = None
) -> Iterator[Path]:
    """Save both in a new folder, yield it to put more files in, and let it appear whole once the block ends well.

    Unless the block leaves a note of FNet, one with the digest is added, which every use holds the folder against.
    `dtype` is what the weights are turned into first, in place. Raises RequestError for weights that it cannot hold, a
    folder that exists, also when it appeared meanwhile, cannot be written, or a full disk.
    """
    folder = new_folder(folder)
    model.to(dtype or model.dtype)  # type: ignore[arg-type]  # transformers wraps `to` so that it looks unbound
    check_finite(model)
    with artifacts.disk_errors(folder.parent), artifacts.atomic_folder(folder, only_new=True) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        add_older(temporary)
        if needs_code(model):
            (temporary / CODE).write_text(code(), "utf-8")
        yield temporary
        if not (temporary / CARD).is_file():
            write_card(temporary, {"name": folder.name})


def check_finite(model: PreTrainedModel) -> None:
    """RequestError for weights that are not all finite numbers in the model's number type."""
    if not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        name = str(model.dtype).removeprefix("torch.")
        raise RequestError(f"The changed weights are not all finite numbers in {name}; choose a milder change.")


def needs_code(model: PreTrainedModel) -> bool:
    """Whether the model's configuration alone cannot describe it, so that it is loaded through its own code."""
    return bool(getattr(model.config, "fnet_resized", None))


def code() -> str:
    """The code that builds such a model, to lie in its folder as `CODE`."""
    return Path(modeling_fnet.__file__).read_text("utf-8")
