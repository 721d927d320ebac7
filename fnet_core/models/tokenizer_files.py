"""Which files of a model folder decide how a text becomes tokens."""

import json
import os
from pathlib import Path

from fnet_core.errors import RequestError
from fnet_core.inputs import reading

_ALWAYS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model")
"""What decides how a text becomes tokens, start tokens included."""
_VOCABULARIES = ("vocab.json", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
"""What a tokenizer is built from where there is no tokenizer.json; beside one they are not read."""
_ADDED_TOKENS = "added_tokens.json"
"""Read unless tokenizer_config.json lists the added tokens itself."""


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a folder that decide how a text becomes tokens; `RequestError` if one is damaged."""
    names = list(_ALWAYS)
    if not (folder / "tokenizer.json").is_file():
        names += _VOCABULARIES
    if not _lists_added_tokens(folder / "tokenizer_config.json"):
        names.append(_ADDED_TOKENS)
    return [folder / name for name in names if (folder / name).is_file()]


def _lists_added_tokens(settings: Path) -> bool:
    with reading(settings):
        content = settings.read_bytes() if os.path.lexists(settings) else b"{}"
    try:
        return "added_tokens_decoder" in json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{settings} is not valid JSON; copy it again.") from error
