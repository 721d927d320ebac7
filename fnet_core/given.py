"""What a person may give: a model by name or loaded, and texts in every form that they have."""

from collections.abc import Iterable
from pathlib import Path

from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel, get_loaded
from fnet_core.progress import Report
from fnet_core.texts import Passage

Model = str | LoadedModel
"""A model by name (starter, repository of the hub, folder, .gguf file) or loaded."""

Texts = str | Path | Passage | Iterable[str | Passage]
"""Texts as `passages` takes them."""


def name_of(model: Model) -> str:
    """The name that a request asks for a model by: its path, where it is loaded."""
    return model if isinstance(model, str) else str(model.path)


def loaded_of(model: Model, report: Report) -> LoadedModel:
    """The model, loaded unless it is."""
    return get_loaded(model, report=report) if isinstance(model, str) else model


def passages(source: Texts = "find") -> tuple[Passage, ...]:
    """The passages that `source` means: bundled ones, a text file's, a text's, or one for each of several texts.

    A string without white space, or one line that ends in ".txt" or is the name of a file, names a file.

    Raises RequestError for an empty text, a file that is not text, and no text at all.

    >>> import fnet_core as fn
    >>> len(fn.passages("score")), fn.passages("It rained all day.")[0].text
    (24, 'It rained all day.')
    >>> [passage.name for passage in fn.passages(["One text.", "Another text."])]
    ['text 1', 'text 2']
    """
    if isinstance(source, Passage):
        return (source,)
    if isinstance(source, Path):
        return texts.from_file(source)
    if isinstance(source, str):
        if source == "networks":
            return texts.for_networks()
        if source in ("find", "score"):
            return texts.bundled("find" if source == "find" else "score")
        return texts.from_file(source) if _names_a_file(source) else texts.from_text(source)
    found = [
        each if isinstance(each, Passage) else Passage(f"text {number}", each, "given text")
        for number, each in enumerate(source, start=1)
    ]
    if empty := [passage.name for passage in found if not passage.text.strip()]:
        raise RequestError(f"{empty[0]} is empty; give at least a few sentences.")
    if not found:
        raise RequestError("There is no text; give at least one.")
    return tuple(found)


def _names_a_file(source: str) -> bool:
    """Whether a string is meant as a path: a single word is no text to read."""
    word = source.strip()
    if not word or "\n" in word or "\0" in word or len(word) > 1000:
        return False
    try:
        return not any(map(str.isspace, word)) or word.endswith(".txt") or Path(word).is_file()
    except OSError:
        return False
