"""Passages of text: bundled, from a file, pasted, or from a Hugging Face dataset."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError

from fnet_core.assets import ASSETS
from fnet_core.cutting import Span, spans
from fnet_core.errors import RequestError
from fnet_core.inputs import check_lines, check_text, reading

PASSAGES_FOLDER = ASSETS / "passages"
WORDS_PER_PASSAGE = 175
"""The length that longer texts are cut to, that of the bundled passages."""

HARDLY_SPACED = 1.2
"""Words as `_WORD` has them for each stretch without white space, above which white space does not part words."""

_EAST = r"\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff"
"""Chinese and Japanese, where a word has about two characters."""
_SOUTH_EAST = r"\u0e00-\u109f\u1780-\u17ff"
"""Thai, Lao, Tibetan, Burmese and Khmer, where it has about four."""
_WORD = re.compile(
    rf"(?=\S{{25}})[^\s{_EAST}{_SOUTH_EAST}]{{1,6}}"  # six characters of a long run, such as minified code
    rf"|[{_EAST}]{{1,2}}|[{_SOUTH_EAST}]{{1,4}}|[^\s{_EAST}{_SOUTH_EAST}]{{1,24}}"
)

DATASET_PASSAGES = 48
"""How many passages are taken of a dataset unless asked otherwise."""

HUB_SECONDS = 8.0
"""How long the hub may take to answer before it counts as unreachable."""

Split = Literal["find", "score"]
"""The bundled halves: networks are found on one, results are measured on the other."""


@dataclass(frozen=True)
class Passage:
    """One piece of text: the part that one person's scan plays in brain imaging."""

    name: str
    text: str
    source: str


def bundled(split: Split) -> tuple[Passage, ...]:
    """The passages written for this project, 24 in each split, in their fixed order."""
    passages = _written(split)
    if not passages:
        raise RequestError(f"There is no bundled split '{split}'; choose find or score.")
    return passages


def for_networks() -> tuple[Passage, ...]:
    """The bundled passages that an atlas is found on, 96 in their fixed order; the first 24 are those of "find"."""
    return bundled("find") + _written("more")


@cache
def _written(folder: str) -> tuple[Passage, ...]:
    files = sorted((PASSAGES_FOLDER / folder).glob("*.txt"))
    return tuple(Passage(f.stem, f.read_text("utf-8").strip(), f"bundled/{folder}") for f in files)


def from_text(text: str, name: str = "pasted", source: str = "pasted text") -> tuple[Passage, ...]:
    """Cut a text into passages of about `WORDS_PER_PASSAGE` words, at ends of sentences where there are any.

    Where white space does not part words, as in Chinese or minified code, so many characters count as a word as are
    about as long to a model, whichever it is. Raises RequestError when the text holds no word.
    """
    pieces = _cut(text)
    if not pieces:
        raise RequestError(f"The text '{name}' is empty; give at least a few sentences.")
    digits = len(str(len(pieces)))
    return tuple(
        Passage(name if len(pieces) == 1 else f"{name} {i:0{digits}d}", piece, source)
        for i, piece in enumerate(pieces, start=1)
    )


def from_file(path: str | Path) -> tuple[Passage, ...]:
    """Passages of a UTF-8 text file, cut as `from_text` does; RequestError for a missing or binary file."""
    (whole,) = whole_file(path)
    return from_text(whole.text, whole.name, whole.source)


def from_bytes(content: bytes, name: str) -> tuple[Passage, ...]:
    """What `from_file` gives for a file of this name and content, such as an upload."""
    return from_text(_decode(content, name), Path(name).stem, f"file {name}")


def whole_bytes(content: bytes, name: str) -> tuple[Passage, ...]:
    """What `whole_file` gives for a file of this name and content, such as an upload."""
    return (Passage(Path(name).stem, _decode(content, name), f"file {name}"),)


def whole_file(path: str | Path) -> tuple[Passage, ...]:
    """A UTF-8 text file as one passage, uncut; RequestError for a missing, binary or empty file."""
    path = Path(path)
    check_text(path)
    with reading(path):
        content = path.read_bytes()
    return whole_bytes(content, path.name)


def _decode(content: bytes, name: str) -> str:
    """The text of a file's bytes; RequestError if they are not UTF-8 text, hold no word or an endless line."""
    check_lines(content, name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise RequestError(f"'{name}' is not a text file; give plain text in UTF-8.")
    if not text.strip():
        raise RequestError(f"The text '{name}' is empty; give at least a few sentences.")
    return text


def parted(passage: Passage, at: Sequence[Span]) -> list[Passage]:
    """The stretches of a passage as passages of their own, numbered; the passage itself where there is one."""
    if len(at) < 2:
        return [passage]
    digits = len(str(len(at)))
    return [
        replace(passage, name=f"{passage.name}.{number:0{digits}d}", text=passage.text[start:end])
        for number, (start, end) in enumerate(at, start=1)
    ]


def from_dataset(name: str, split: str = "test", passages: int = DATASET_PASSAGES) -> tuple[Passage, ...]:
    """The first passages of a text dataset on the Hugging Face hub, streamed.

    `name` is a repository id, with a configuration after a colon where it has several
    ("org/name:configuration"). Raises RequestError when the `datasets` package is missing, the hub is out
    of reach, or the dataset has no text column.
    """
    try:
        import datasets
    except ModuleNotFoundError:
        raise RequestError(
            "Reading a dataset needs the package 'datasets'; install it with: pip install datasets."
        ) from None
    repository, _, configuration = name.partition(":")
    try:
        HfApi().dataset_info(repository, timeout=HUB_SECONDS)
        rows = datasets.load_dataset(repository, configuration or None, split=split, streaming=True)
        return tuple(_first_passages(_text_column(rows, name), name, passages))
    except (OSError, ValueError, HTTPError, datasets.exceptions.DatasetsError) as error:
        if isinstance(error, RequestError):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RequestError(
            f"The dataset '{name}' could not be read ({reason}); check its name and the connection to the hub, "
            "or give a text file."
        ) from None


def _text_column(rows: Iterable[dict[str, Any]], name: str) -> Iterable[str]:
    first: dict[str, Any] = next(iter(rows), {})
    column = next((c for c in ("text", "content", *first) if isinstance(first.get(c), str)), None)
    if column is None:
        raise RequestError(f"The dataset '{name}' has no column of text; choose one that has.")
    return (row[column] for row in rows if isinstance(row[column], str))


def _first_passages(texts: Iterable[str], name: str, limit: int) -> Iterable[Passage]:
    collected: list[str] = []
    found = 0
    for text in chain(texts, [None]):
        if text is not None:
            collected.append(text)
            if sum(map(_length, collected)) < WORDS_PER_PASSAGE:
                continue
        for piece in _cut("\n".join(collected)):
            found += 1
            yield Passage(f"{name} {found:03d}", piece, f"dataset {name}")
            if found == limit:
                return
        collected = []


def _words(text: str) -> list[int] | None:
    """Where the words of a text begin that white space does not part; None for a text where it does."""
    begins = [word.start() for word in _WORD.finditer(text)]
    return begins if len(begins) > HARDLY_SPACED * len(text.split()) else None


def _length(text: str) -> int:
    """Words of a text, as `_cut` counts them."""
    return len(_words(text) or text.split())


def _cut(text: str) -> list[str]:
    """Pieces of about `WORDS_PER_PASSAGE` words, evenly long; none of a text of white space."""
    text = text.strip()
    if _words(text):
        return [text[start:end] for start, end in spans(text, _in_words)]
    return _cut_spaced(text, list(re.finditer(r"\S+\s*", text)))


def _in_words(text: str) -> tuple[int, list[int]]:
    begins = [word.start() for word in _WORD.finditer(text)]
    return round(len(begins) / WORDS_PER_PASSAGE), begins


def _cut_spaced(text: str, words: list[re.Match[str]]) -> list[str]:
    """The pieces of a text whose words stand apart, cut at the nearest end of a sentence or line if one is near."""
    if not words:
        return []
    pieces = max(1, round(len(words) / WORDS_PER_PASSAGE))
    size = len(words) / pieces
    cuts = [0]
    for ideal in (round(i * size) for i in range(1, pieces)):
        near = range(max(cuts[-1] + 1, int(ideal - 0.15 * size)), int(ideal + 0.15 * size) + 1)
        ends = [i for i in near if _ends_sentence(words[i - 1].group())]
        cuts.append(min(ends, key=lambda i: abs(i - ideal), default=ideal))
    starts = [words[i].start() for i in cuts]
    return [text[a:b].strip() for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def _ends_sentence(token: str) -> bool:
    return "\n" in token or token.rstrip().rstrip("\"')]").endswith((".", "!", "?"))
