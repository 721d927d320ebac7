"""Secret probes: passages drawn by a seed from a text that only its owner has, so that nobody can train against them.

A fingerprint taken on them holds none of their words: passages and the labels of networks are left out, and what is
taken out of the signals as the text's surface stands there as numbers.
"""

import re
from dataclasses import dataclass
from hashlib import scrypt, sha256
from pathlib import Path

import numpy as np

from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.texts import Passage

EACH, LEAST = 24, 4
"""Passages to find networks on, and as many to score on, where the text has so many; the fewest of either."""

_DOTS = "····· "


@dataclass(frozen=True)
class Secret:
    """What a file says of its secret probes: nothing from which text or seed could be read."""

    text: str
    """SHA-256 of the text, in hex."""
    seed: str
    """A commitment to the seed, in hex: scrypt of it, salted with the text, so that every guess costs a while."""


@dataclass(frozen=True)
class Drawn:
    """Passages to find networks on and to score on, and what may be said of them."""

    find: tuple[Passage, ...]
    score: tuple[Passage, ...]
    secret: Secret


def draw(text: str, seed: str) -> Drawn:
    """Secret probes of a text; same text and seed, same passages. RequestError for an empty seed and too short a text.

    The seed may be any words: whoever guesses it and has the text knows the probes.
    """
    if not seed.strip():
        raise RequestError("Secret probes need a seed; give some words that nobody guesses.")
    pieces = texts.from_text(text, "secret", "secret")
    each = min(EACH, len(pieces) // 2)
    if each < LEAST:
        raise RequestError(
            f"The text for secret probes gives {len(pieces)} passages and {2 * LEAST} are needed; give a longer one, "
            f"best {2 * EACH} passages of {texts.WORDS_PER_PASSAGE} words or more."
        )
    digest = sha256(text.encode())
    key = scrypt(seed.encode(), salt=digest.digest(), n=2**14, r=8, p=1, dklen=64)
    secret = Secret(digest.hexdigest(), key[:32].hex())
    order = np.random.default_rng(int.from_bytes(key[32:], "big")).permutation(len(pieces))
    source = f"secret {secret.seed[:12]}"
    found = [
        Passage(f"secret {number:02d}", pieces[at].text, source) for number, at in enumerate(order[: 2 * each].tolist())
    ]
    return Drawn(tuple(found[:each]), tuple(found[each:]), secret)


def draw_from_file(path: str | Path, seed: str) -> Drawn:
    """`draw` from a UTF-8 text file; RequestError for a file that is not one."""
    (whole,) = texts.whole_file(path)
    return draw(whole.text, seed)


def dots(length: int) -> str:
    """What stands in place of a secret text of so many characters."""
    return (_DOTS * (length // len(_DOTS) + 1))[:length]


def hidden(passages: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """Passages with dots in place of their text, as many as it has characters."""
    return tuple(Passage(passage.name, dots(len(passage.text)), passage.source) for passage in passages)


def is_secret(value: object) -> bool:
    """Whether this is what a protocol says of secret probes."""
    return (
        isinstance(value, dict)
        and value.keys() == {"text", "seed"}
        and all(isinstance(each, str) and re.fullmatch("[0-9a-f]{64}", each) for each in value.values())
    )
