"""The battery: what models are asked for, as minimal pairs that grammars and word lists make.

Source: Warstadt et al. 2020, BLiMP (minimal pairs). The grammars are in `assets/capabilities/`, one file each: lists of
words, and templates of which every one is a few ways to use the same drawn words. Over the ways of a template every
continuation is right as often as it is wrong, so that a model with a liking and no ability is right in half of them.
"""

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from fnet_core.assets import ASSETS
from fnet_core.checks import check_choice, check_range, check_seed
from fnet_core.choices import CAPABILITY_NAMES, ITEMS, MOST_ITEMS
from fnet_core.errors import RequestError
from fnet_core.storage import artifacts

FOLDER = ASSETS / "capabilities"
CHANCE = 0.5
"""Of being right at an item."""

_SLOT = re.compile(r"\{([a-z]+)(\d*)(?:\.(\d+))?\}")
_TRIES = 40
"""Draws for each item wanted, before a grammar is said to have no more."""

Row = tuple[str, ...]
Words = dict[str, tuple[Row, ...]]
Way = tuple[str, str, str]
"""Prefix, right and wrong continuation, with slots."""


@dataclass(frozen=True)
class Item:
    """A prefix, empty for whole sentences, with its right and its wrong continuation."""

    capability: str
    prefix: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Grammar:
    """One capability: what it is, the words it uses, and the templates that they go into."""

    name: str
    title: str
    about: str
    words: Words
    templates: tuple[tuple[Way, ...], ...]


@dataclass(frozen=True)
class Battery:
    """The items of some capabilities, capability by capability, each item once."""

    capabilities: tuple[str, ...]
    items: tuple[Item, ...]
    asked: dict[str, Any]
    """Items per capability and seed: how it was made, which decides nothing that the items do not."""

    @cached_property
    def digest(self) -> str:
        """What stands for the items in a key."""
        return artifacts.digest([[i.capability, i.prefix, i.right, i.wrong] for i in self.items])


@cache
def grammar(name: str) -> Grammar:
    """The grammar of a capability; `RequestError` for an unknown one."""
    check_choice(name, CAPABILITY_NAMES, "capability")
    kept = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    words = {
        key: tuple((row,) if isinstance(row, str) else tuple(row) for row in rows)
        for key, rows in kept["lists"].items()
    }
    templates = tuple(tuple((way[0], way[1], way[2]) for way in template) for template in kept["templates"])
    return Grammar(name, kept["title"], kept["about"], words, templates)


def title(name: str) -> str:
    """What a capability is called where people read it."""
    return grammar(name).title


def make_battery(items: int = ITEMS, seed: int = 0, only: tuple[str, ...] | list[str] | None = None) -> Battery:
    """`items` different items of each capability, or of those named in `only`; fewer are the first of more.

    Raises RequestError for an unknown capability, a number of items out of range, and a negative seed.
    """
    check_range(items, 1, MOST_ITEMS, f"{items} items per capability are", f"choose 1 to {MOST_ITEMS}")
    check_seed(seed)
    names = CAPABILITY_NAMES if only is None else tuple(dict.fromkeys(only))
    if not names:
        raise RequestError(f"No capability was named; choose of {', '.join(CAPABILITY_NAMES)}.")
    made = tuple(item for name in names for item in draw(grammar(name), items, seed))
    return Battery(names, made, {"items": items, "seed": seed})


def draw(source: Grammar, count: int, seed: int) -> tuple[Item, ...]:
    """So many different items of one grammar, its templates in turn; RequestError if it has not so many."""
    named = int.from_bytes(sha256(source.name.encode()).digest()[:4], "big")
    rng = np.random.default_rng([seed, named])
    found: dict[Item, None] = {}
    for attempt in range(_TRIES * count):
        if len(found) >= count:
            return tuple(found)[:count]
        filled = _filled(source, source.templates[attempt % len(source.templates)], rng)
        alike = any(item.right == item.wrong or item in found for item in filled)
        if not alike and len(set(filled)) == len(filled):
            found |= dict.fromkeys(filled)
    raise RequestError(f"There are only {len(found)} different items of {source.name}; ask for fewer.")


def _filled(source: Grammar, template: tuple[Way, ...], rng: np.random.Generator) -> list[Item]:
    """Every way of a template with the same words drawn for its slots, none of a list twice."""
    slots: dict[str, dict[str, None]] = {}
    for text in (piece for way in template for piece in way):
        for name, number, _ in _SLOT.findall(text):
            slots.setdefault(name, {})[number] = None
    drawn = {
        (name, number): source.words[name][row]
        for name, numbers in slots.items()
        for number, row in zip(numbers, rng.permutation(len(source.words[name])), strict=False)
    }

    def fill(text: str) -> str:
        return _SLOT.sub(lambda slot: drawn[slot[1], slot[2]][int(slot[3] or 0)], text)

    return [Item(source.name, *(fill(piece) for piece in way)) for way in template]
