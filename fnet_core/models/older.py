"""What transformers 4 reads of a folder that transformers 5 wrote: the same facts under their earlier names.

Version 5 keeps rotary embeddings in `rope_parameters` alone, where version 4 does not look: it would run with the
default base and say nothing. The earlier names are written beside the present ones, and listed, so that a folder's
digest can leave them out: they change nothing of what version 5 computes.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from fnet_core.storage.artifacts import atomic_file

LISTED = "fnet_also_for_transformers_4"
"""In config.json the names that were added; in tokenizer_config.json what stood there before."""

_CONFIG, TOKENIZER = "config.json", "tokenizer_config.json"
_BASE, _ROTATED = "rope_theta", "partial_rotary_factor"
_OWN_NAMES = {"gpt_neox": {_BASE: "rotary_emb_base", _ROTATED: "rotary_pct"}}
_RENAMED = {"qwen3_moe": {"num_experts": "num_local_experts"}}
_AS_IN_THE_FILE = "PreTrainedTokenizerFast"
"""The class that takes tokenizer.json as it is, in both versions; others build parts of it anew, each in its way."""
_LATER_TOKENS, _EARLIER_TOKENS = "extra_special_tokens", "additional_special_tokens"


def add_older(folder: Path) -> None:
    """Let a saved folder load in transformers 4 too, with equal numbers; done twice it changes nothing more."""
    changes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {_CONFIG: _with_older}
    if (folder / "tokenizer.json").is_file():
        changes[TOKENIZER] = _older_tokenizer
    for name, change in changes.items():
        before = json.loads((folder / name).read_text("utf-8"))
        if (after := change(before)) != before:
            with atomic_file(folder / name) as temporary:
                temporary.write_bytes(_as_saved(after))


def without_older(config: dict[str, Any]) -> dict[str, Any]:
    """A parsed config.json as transformers 5 wrote it; one whose earlier names say something else is left as it is."""
    listed = config.get(LISTED)
    if not isinstance(listed, list):
        return config
    plain = {key: value for key, value in config.items() if key != LISTED and key not in listed}
    return plain if _with_older(plain) == config else config


def tokenizer_digest(path: Path) -> str | None:
    """SHA-256 of a tokenizer_config.json as transformers 5 wrote it; None unless `add_older` alone changed it since."""
    try:
        settings = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(settings, dict) or not isinstance(settings.get(LISTED), dict):
        return None
    plain = _later_tokenizer(settings)
    return sha256(_as_saved(plain)).hexdigest() if _older_tokenizer(plain) == settings else None


def _as_saved(settings: dict[str, Any]) -> bytes:
    return (json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def _with_older(config: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in config.items() if key != LISTED}
    added = {key: value for key, value in _older_names(plain).items() if key not in plain}
    return plain | added | {LISTED: sorted(added)} if added else config


def _older_names(config: dict[str, Any]) -> dict[str, Any]:
    """The facts of a configuration under the names of transformers 4."""
    older: dict[str, Any] = {"torch_dtype": config["dtype"]} if config.get("dtype") else {}
    family = config.get("model_type", "")
    older |= {name: config[now] for name, now in _RENAMED.get(family, {}).items() if now in config}
    rope = config.get("rope_parameters")
    rope = rope if isinstance(rope, dict) else {}
    names = _OWN_NAMES.get(family, {})
    local = rope.get("sliding_attention")
    if isinstance(rope.get("full_attention"), dict):
        rope = rope["full_attention"]
    if isinstance(local, dict) and _BASE in local:
        older["rope_local_base_freq"] = local[_BASE]
    older |= {names.get(key, key): rope[key] for key in (_BASE, _ROTATED) if key in rope}
    if rope.get("rope_type", "default") != "default":
        older["rope_scaling"] = {key: value for key, value in rope.items() if key not in (_BASE, _ROTATED)}
    return older


def _older_tokenizer(settings: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in settings.items() if key != LISTED}
    older, before = dict(plain), {}
    if plain.get("tokenizer_class", _AS_IN_THE_FILE) != _AS_IN_THE_FILE:
        older["tokenizer_class"], before["tokenizer_class"] = _AS_IN_THE_FILE, plain["tokenizer_class"]
    if isinstance(plain.get(_LATER_TOKENS), list):
        older[_EARLIER_TOKENS] = older.pop(_LATER_TOKENS)
        before[_LATER_TOKENS] = _EARLIER_TOKENS
    return older | {LISTED: before} if before else settings


def _later_tokenizer(settings: dict[str, Any]) -> dict[str, Any]:
    later = {key: value for key, value in settings.items() if key != LISTED}
    before = settings[LISTED]
    if "tokenizer_class" in before:
        later["tokenizer_class"] = before["tokenizer_class"]
    if _LATER_TOKENS in before and _EARLIER_TOKENS in later:
        later[_LATER_TOKENS] = later.pop(_EARLIER_TOKENS)
    return later
