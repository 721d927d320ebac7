"""A tokenizer that belongs to its model: its ids are those of its own file, and each has an embedding.

The library rebuilds a tokenizer by the class that its folder names, which can cut a text otherwise than the
tokenizer.json beside it. Both are asked for the ids of one piece of text; the file is what the model was made with.
"""

import json
import logging
from importlib.util import find_spec
from pathlib import Path

import tokenizers
import transformers
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from fnet_core.errors import RequestError
from fnet_core.models.tokenizer_files import tokenizer_files
from fnet_core.storage.artifacts import cached_file_digest, digest
from fnet_core.storage.remembering import recalled, remember

FILE = "tokenizer.json"
PIECE = (
    "The ferry left at 6:45, two minutes late; nobody's watch agreed (Marta's never did).\n\n"
    "def  area(w, h=0.5):\n\tif w <= 1_024 and h != -3:\n        return {'m2': [w*h, 1e-6]}  # TODO\n"
    "12345678 2026-11-26 3.14159 €1,299.00 http://example.org/a?b=c&d=%20 CamelCase snake_case\n"
    "Größe naïve Übung façade Zażółć Привет мир Καλημέρα مرحبا بالعالم शुभ प्रभात\n"
    "今天天气很好，我们去公园散步吧。 東京は雨です。 안녕하세요 🙂🚀👩‍🔬 ½ → ∑\t \n   end  "
)
"""What a library and a file must cut alike: prose, code, digits, accents, other scripts, emoji and runs of spaces."""

log = logging.getLogger(__name__)


def load_tokenizer(folder: Path, config: PretrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, whose every id lies within the model's embedding.

    `RequestError` where it cannot be read, gives no character positions, or does not belong to the model.
    """
    _check_library(folder)
    read = _from_file if differs_from_its_file(folder) else _from_library
    try:
        tokenizer = read(folder)
        tokenizer("a", verbose=False)  # what its settings say wrongly shows once it is used
    except Exception as error:  # the tokenizers library raises nothing more specific
        raise RequestError(f"{folder} has no usable tokenizer; add the model's tokenizer.json.") from error
    if not tokenizer.is_fast:
        raise RequestError(f"The tokenizer of {folder} gives no character positions; add the model's tokenizer.json.")
    if read is _from_file:
        log.warning(
            f"The library would cut texts otherwise than {folder / FILE} does, by the class that "
            "tokenizer_config.json names; the file's own way is used."
        )
    _within_embedding(tokenizer, folder, config.get_text_config().vocab_size)
    return tokenizer


def differs_from_its_file(folder: Path) -> bool:
    """Whether the library cuts `PIECE` otherwise than the folder's tokenizer.json; False where one cannot be read.

    Asked once for each tokenizer and version of the libraries, and remembered in the cache folder.
    """
    if not (folder / FILE).is_file():
        return False
    asked = {
        "files": {path.name: cached_file_digest(path) for path in tokenizer_files(folder)},
        "model_type": _model_type(folder),
        "libraries": [transformers.__version__, tokenizers.__version__, digest(PIECE)],
    }
    name = f"tokenizer-{digest(asked)}"
    known = recalled(name)
    if isinstance(known, dict) and isinstance(known.get("differs"), bool):
        return known["differs"]
    try:
        found = _ids(_from_library(folder)) != _own_ids(folder)
    except Exception:  # what cannot be read is refused, with its reason, where it is loaded
        return False
    remember(name, {"differs": found})
    return found


def _from_library(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _from_file(folder: Path) -> PreTrainedTokenizerBase:
    """The file itself, with the special tokens and the chat template that the folder's settings give it."""
    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


def _ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return tokenizer(PIECE, add_special_tokens=False, verbose=False)["input_ids"]


def _own_ids(folder: Path) -> list[int]:
    own = tokenizers.Tokenizer.from_file(str(folder / FILE))
    own.no_truncation()
    own.no_padding()
    return own.encode(PIECE, add_special_tokens=False).ids


def _model_type(folder: Path) -> str | None:
    return json.loads((folder / "config.json").read_text("utf-8")).get("model_type")


def _check_library(folder: Path) -> None:
    models = sorted(folder.glob("*.model"))
    if models and not (folder / FILE).is_file() and find_spec("sentencepiece") is None:
        raise RequestError(
            f"{folder} has {models[0].name} and no tokenizer.json; install sentencepiece (pip install sentencepiece), "
            "or add the model's tokenizer.json."
        )


def _within_embedding(tokenizer: PreTrainedTokenizerBase, folder: Path, embeddings: int) -> None:
    """Take out added tokens that have no embedding, so that a text never gives their ids, and say so.

    `RequestError` where other tokens lie past the embedding: those that any text can give.
    """
    beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= embeddings}
    if not beyond:
        return
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    kept = [token for token in backend["added_tokens"] if token["content"] not in beyond]
    possible = sorted(token for token in beyond if _can_occur(token, backend["model"]))
    started = [number for number in tokenizer("a", verbose=False)["input_ids"] if number >= embeddings]
    if possible or started:
        raise RequestError(
            f"The tokenizer of {folder} gives ids up to {max(beyond.values())} and the model has {embeddings} "
            f"embeddings, the last for id {embeddings - 1}; put the tokenizer there that the model was trained with, "
            "or resize the model's embeddings to the tokenizer and save it again."
        )
    for name, token in tokenizer.special_tokens_map.items():
        if token in beyond:
            setattr(tokenizer, name, None)
    tokenizer._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(backend | {"added_tokens": kept}))
    named = ", ".join(sorted(beyond)[:3])
    log.warning(
        f"{len(beyond)} added tokens of {folder} ({named}) have no embedding in the model; where a text spells them "
        "out they are read as ordinary characters."
    )


def _can_occur(token: str, model: dict) -> bool:
    """Whether a text without added tokens can give this token of the tokenizer's own vocabulary."""
    vocabulary = model.get("vocab", {})
    entries = vocabulary if isinstance(vocabulary, dict) else {entry[0] for entry in vocabulary}
    if token not in entries:
        return False
    if model.get("type") != "BPE" or model.get("ignore_merges") or len(token) == 1 or token.startswith("<0x"):
        return True
    return any("".join(merge if isinstance(merge, list) else merge.split(" ")) == token for merge in model["merges"])
