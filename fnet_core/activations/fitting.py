"""Passages cut to what models can read: by the tokens of each model, and at the same characters for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from statistics import median

from transformers import PreTrainedTokenizerBase

from fnet_core import texts
from fnet_core.cutting import FILLED, spans
from fnet_core.models.folder import context, read_config
from fnet_core.models.loading import NO_LIMIT, LoadedModel
from fnet_core.models.resolving import ModelFolder
from fnet_core.models.tokenizers import load_tokenizer
from fnet_core.texts import Passage, parted

LONGEST = 2
"""How many times the longest bundled passage a passage may be as long, in tokens of the model."""

LEAST_CONTEXT = 16
"""Tokens of context below which nothing is cut: such pieces would hold no text to speak of."""

_AROUND = 16
"""Tokens that may stand around a text beside those of its bytes."""


@dataclass(frozen=True)
class Reader:
    """A model as passages see it: its context in tokens, and its tokenizer, which is loaded when it is needed."""

    name: str
    max_tokens: int
    load: Callable[[], PreTrainedTokenizerBase]

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer."""
        return self.load()

    @cached_property
    def bundled_lengths(self) -> list[int]:
        """Tokens of each bundled passage."""
        return [len(self.begins(p.text)) for split in ("find", "score") for p in texts.bundled(split)]

    def begins(self, text: str) -> list[int]:
        """The character at which each token begins, special tokens included."""
        encoded = self.tokenizer(text, return_offsets_mapping=True, verbose=False)
        latest = 0
        return [latest := max(latest, start) for start, _ in encoded["offset_mapping"]]

    def takes(self, text: str) -> bool:
        """Whether the text is within the model's context."""
        return self.certainly_takes(text) or len(self.begins(text)) <= self.max_tokens

    def certainly_takes(self, text: str) -> bool:
        """Whether that can be told without the tokenizer, for a token stands for a byte at least."""
        return len(text.encode()) + _AROUND <= self.max_tokens


def reader_of(loaded: LoadedModel) -> Reader:
    """The reader that a loaded model is."""
    return Reader(loaded.name, loaded.max_tokens, lambda: loaded.tokenizer)


def reader_at(folder: ModelFolder) -> Reader:
    """The reader that the model of a folder would be."""
    config = read_config(folder.path)
    return Reader(folder.name, context(config) or NO_LIMIT, lambda: load_tokenizer(folder.path, config))


@dataclass(frozen=True)
class Fitted:
    """Passages that every reader can read, and what was cut for that."""

    passages: tuple[Passage, ...]
    note: str = ""
    """How many became how many and why, as a sentence; empty where none was cut."""


def fitted(passages: Sequence[Passage], readers: Sequence[Reader], *, context_only: bool = False) -> Fitted:
    """The passages, those cut that are past a reader's context or, unless `context_only`, far longer than bundled ones.

    Far longer means `LONGEST` times the longest bundled passage in tokens of the model. Pieces are about as long as
    bundled passages; all readers get the same ones, cut for the reader that needs most of them. What was fitted before
    stays as it is.
    """
    found: list[Passage] = []
    cut: list[Passage] = []
    for passage in passages:
        pieces = _pieces(passage, readers, context_only)
        found += pieces
        if len(pieces) > 1:
            cut.append(passage)
    if not cut:
        return Fitted(tuple(passages))
    return Fitted(tuple(found), _note(cut, len(passages), len(found), readers))


def _pieces(passage: Passage, readers: Sequence[Reader], context_only: bool) -> list[Passage]:
    asked = [reader for reader in readers if not _is_short(passage, reader, context_only)]
    if not asked:
        return [passage]

    def measure(text: str) -> tuple[int, list[int]]:
        return max((_wanted(text, reader, context_only) for reader in asked), key=lambda wanted: wanted[0])

    return parted(passage, spans(passage.text, measure))


def _is_short(passage: Passage, reader: Reader, context_only: bool) -> bool:
    """Whether the passage is known to need no cut without its tokens."""
    usual = context_only or passage.source.startswith("bundled/")
    return reader.max_tokens < LEAST_CONTEXT or (usual and reader.certainly_takes(passage.text))


def _wanted(text: str, reader: Reader, context_only: bool) -> tuple[int, list[int]]:
    """Into how many pieces a text should go for a reader, and where its tokens begin."""
    begins = reader.begins(text)
    most = reader.max_tokens
    if len(begins) <= most and context_only:
        return 1, begins
    if not context_only:
        most = min(most, LONGEST * max(reader.bundled_lengths))
    if len(begins) <= most:
        return 1, begins
    usual = min(median(reader.bundled_lengths), FILLED * most)
    return max(2, ceil(len(begins) / usual)), begins


def _note(cut: Sequence[Passage], before: int, after: int, readers: Sequence[Reader]) -> str:
    short = [reader for reader in readers if not all(reader.takes(passage.text) for passage in cut)]
    if short:
        least = min(short, key=lambda reader: reader.max_tokens)
        because = f"{least.name} reads at most {least.max_tokens:,} tokens at once"
    else:
        lengths = {reader.name: LONGEST * max(reader.bundled_lengths) for reader in readers}
        name = next(
            reader.name for reader in readers if any(len(reader.begins(p.text)) > lengths[reader.name] for p in cut)
        )
        because = f"passages of more than {lengths[name]:,} tokens of {name} are far longer than the bundled ones"
    noun = "passage was" if before == 1 else "passages were"
    return f"{before} {noun} cut into {after}, for {because}."
