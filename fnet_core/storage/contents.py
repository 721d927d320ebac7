"""What a kept thing is, in a few words for people: its model and what was found, asked or changed."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fnet_core.choices import scope_title, site_title
from fnet_core.errors import RequestError
from fnet_core.storage import artifacts
from fnet_core.storage.library import BY_TEXT, Entry, is_text

_LONGEST_STEM = 80
_NAMED_EDITS = 2
"""Edits that are listed by name; of more, the others are counted."""
Header = dict[str, Any]


@dataclass(frozen=True)
class Contents:
    """What an entry of the library says of itself."""

    model: str
    """The model that it is of, as it names it; empty where it names none."""
    what: str
    """What it is, without the model: "32 networks, MLP neurons, whole model, 96 passages"."""


def contents_of(entry: Entry) -> Contents:
    """What an entry is, read from its file without its arrays; RequestError for a damaged one."""
    header = _header(entry)
    what = ""
    with suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):
        what = _SAID[entry.kind](header)
    return Contents(_model(header), what or _PLAIN.get(entry.kind, entry.kind))


def text_of(entry: Entry) -> str:
    """The text of a plan or of edits; RequestError where it cannot be read."""
    try:
        return entry.path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{entry.path} cannot be read ({error}); remove it.") from error


def file_name(entry: Entry, found: Contents) -> str:
    """What an exported entry is called: its name, or its model and what it is."""
    words = entry.name or f"{entry.shelf} {found.model} {found.what}"
    stem = re.sub(r"[^\w.]+", "-", words)[:_LONGEST_STEM].strip("-.") or entry.key[:12]
    return f"{stem}{entry.path.suffix}"


def _header(entry: Entry) -> Header:
    if not is_text(entry.kind):
        return artifacts.read_header(entry.path)
    text = text_of(entry)
    if entry.kind in BY_TEXT and artifacts.digest([entry.kind, text]) != entry.key:
        raise RequestError(f"{entry.path} cannot be read (it was changed after it was saved); remove it.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{entry.path} cannot be read ({error}); remove it.") from error
    return found if isinstance(found, dict) else {}


def _model(header: Header) -> str:
    recipe = header.get("recipe")
    recipe = recipe if isinstance(recipe, dict) else {}
    for found in (header.get("model"), recipe.get("model"), recipe.get("models")):
        if isinstance(found, dict):
            found = found.get("name")
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            found = " and ".join(found)
        if isinstance(found, str) and found:
            return found
    return ""


def _count(number: int, thing: str) -> str:
    return f"{int(number):,} {thing}{'' if number == 1 else 's'}"


def _atlas(header: Header) -> str:
    return _networks(header["recipe"], len(header["labels"]), len(header["passages"]))


def _networks(recipe: Header, networks: int, passages: int) -> str:
    site, scope = site_title(recipe["site"]), scope_title(recipe["scope"])
    return f"{_count(networks, 'network')}, {site}, {scope}, {_count(passages, 'passage')}"


def _request(recipe: Header) -> str:
    return _networks(recipe, recipe["components"], recipe["passages"])


def _fingerprint(header: Header) -> str:
    protocol = header["recipe"]["protocol"]
    probes = "secret passage" if "secret" in protocol else "passage"
    said = f"{_count(len(header['labels']), 'network')}, {site_title(protocol['site'])}, "
    tested = "with neurons" if "form" in header.get("neurons", {}) else "without neurons"
    return f"{said}{_count(len(header['passages']), probes)}, {tested}"


def _plan(header: Header) -> str:
    recipe = header["recipe"]
    threshold, ratio = recipe["threshold"], recipe["ratio"]
    amount = f"threshold {threshold:g}" if ratio is None else f"{ratio:.0%} of {recipe['share']}"
    first, last = recipe["protected"]
    return f"{amount} by {recipe['method']}, the first {first} and the last {last} layers whole"


def _edits(header: Header) -> str:
    listed = [f"{each['name'] or site_title(each['site'])} times {each['gain']:g}" for each in header["edits"]]
    more = len(listed) - _NAMED_EDITS
    return "; ".join(listed[:_NAMED_EDITS]) + (f"; {more} more" if more > 0 else "")


def _pair(header: Header) -> str:
    return f"comparison of two fingerprints, score {header['evidence']['score']:.2f}"


def _perplexity(header: Header) -> str:
    return f"perplexity per {header['definition']}, {_count(len(header['texts']), 'passage')}"


def _scores(header: Header) -> str:
    recipe = header["recipe"]
    read = f", {_count(recipe['passages'], 'passage')}" if "passages" in recipe else ""
    return f"scores for pruning by {recipe['method']}{', heads too' * bool(recipe['heads'])}{read}"


def _battery(header: Header) -> str:
    number = len(header["capabilities"])
    return "1 capability" if number == 1 else f"{number} capabilities"


_SAID: dict[str, Callable[[Header], str]] = {
    "atlas": _atlas,
    "atlas-upload": _atlas,
    "fingerprint": _fingerprint,
    "fingerprint-upload": _fingerprint,
    "labels": lambda header: f"what was written on {_count(len(header['networks']), 'network')}",
    "logits": lambda header: f"tokens made likelier by {_count(len(header['networks']), 'network')}",
    "plan": _plan,
    "edits": _edits,
    "pair": _pair,
    "perplexity": _perplexity,
    "prune-scores": _scores,
    "recurrence": lambda header: f"recurrence of networks, {_count(len(header['labels']), 'network')}",
    "singles": lambda header: f"networks of single texts, {_count(header['recipe']['count'], 'text')}",
    "layer-factors": lambda header: (
        f"networks of layers, for pruning, {header['recipe']['components']} in each of {header['layers']} layers"
    ),
    "asked": lambda header: f"which atlas answers a request: {_request(header['recipe'])}",
    "capabilities": lambda header: f"answers of a model, {_battery(header)}",
    "lesions": lambda header: (
        f"answers under lesions, {_count(len(header['networks']), 'network')}, {_battery(header)}"
    ),
    "preservation": lambda header: f"what is left with the networks alone, {_battery(header)}",
    "fingerprint-index": lambda header: f"index of a folder, {_count(len(header['lines']), 'fingerprint file')}",
}
_PLAIN = {
    "pair": "comparison of two fingerprints",
    "labels": "what was written on networks",
    "logits": "tokens made likelier by networks",
    "recurrence": "recurrence of networks",
    "prune-scores": "scores for pruning",
    "layer-factors": "networks of layers, for pruning",
    "singles": "networks of single texts",
    "asked": "which atlas answers a request",
    "capabilities": "answers of a model",
    "lesions": "answers under lesions",
    "preservation": "what is left with the networks alone",
    "fingerprint-index": "index of a folder of fingerprints",
}
"""What a kind is called where a header says no more."""
