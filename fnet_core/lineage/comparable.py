"""Which fingerprints can be compared: of the same probes and parameters, or a sentence that says what differs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet_core.checks import check_range, check_seed
from fnet_core.choices import RESAMPLES
from fnet_core.errors import RequestError
from fnet_core.lineage.fingerprint import Fingerprint

LEAST_RESAMPLES, MOST_RESAMPLES = 200, 1_000_000
"""Below it the ends of the interval, 2.5 % of the resamples each, rest on too few of them."""

_PROTOCOL_WORDS = {
    "site": "site",
    "components": "components",
    "threshold": "threshold",
    "signal": "signal",
    "step": "grid step",
    "find": "passages to find networks on",
    "score": "passages to score on",
}


def check_comparable(a: Fingerprint, b: Fingerprint) -> None:
    """RequestError, with the way out, unless both were made with the same probes and parameters."""
    check_protocols(a.model.name, a.protocol, b.model.name, b.protocol)
    one, other = ([p.text for p in side.passages] for side in (a, b))
    surfaces = zip(a.surfaces, b.surfaces, strict=True) if a.is_secret else ()
    if one != other or not all(np.array_equal(x, y) for x, y in surfaces):
        raise _incomparable(a.model.name, b.model.name, [_PROTOCOL_WORDS["score"]])
    if a.grams_LU.shape[1] != b.grams_LU.shape[1]:
        raise _incomparable(a.model.name, b.model.name, ["places where layers are compared"])


def check_protocols(a: str, a_protocol: dict[str, Any], b: str, b_protocol: dict[str, Any]) -> None:
    """`check_comparable` for two names with their protocols, before a fingerprint is taken."""
    one, other = (protocol.get("secret") for protocol in (a_protocol, b_protocol))
    if one != other:
        raise RequestError(_other_probes(a, one, b, other))
    differing = [name for name in a_protocol.keys() | b_protocol.keys() if a_protocol.get(name) != b_protocol.get(name)]
    if differing:
        words = [label for name, label in _PROTOCOL_WORDS.items() if name in differing] or ["version of the method"]
        raise _incomparable(a, b, words)


def check_readable(files: Sequence[Fingerprint], alone: bool) -> None:
    """RequestError for fingerprints whose neurons were read on other secret probes than a model, or each other, could.

    `alone`: a model is to be read on the passages of a file.
    """
    if alone and files[0].is_secret:
        name = files[0].model.name
        raise RequestError(
            f"The fingerprint of {name} does not hold its passages, which are secret; take the model's fingerprint "
            "with the same --text and --probes, and test the two files."
        )
    if not alone:
        one, other = (side.protocol.get("secret") for side in files)
        if one != other:
            raise RequestError(_other_probes(files[0].model.name, one, files[1].model.name, other))


def _other_probes(a: str, one: dict[str, str] | None, b: str, other: dict[str, str] | None) -> str:
    """Why two fingerprints on secret probes, or one on secret and one on public ones, cannot be compared."""
    if one and other:
        what = "seeds" if one["text"] == other["text"] else "texts"
        return (
            f"{a} and {b} were read on secret probes of two {what}, so they cannot be compared; take both with the "
            "same --text and --probes."
        )
    secret, public = (a, b) if one else (b, a)
    return (
        f"{secret} was read on secret probes and {public} on others, so they cannot be compared; take {public} with "
        "the text and seed of the secret ones (fnet fingerprint MODEL --text FILE --probes SEED)."
    )


def _incomparable(a: str, b: str, words: list[str]) -> RequestError:
    return RequestError(
        f"The fingerprints of {a} and {b} cannot be compared, because they differ in: {', '.join(words)}; make both "
        "again the same way with: python -m fnet_core fingerprint MODEL --out F."
    )


def check_options(seed: int, resamples: int) -> None:
    """RequestError for a seed or a number of resamples that `compare` refuses."""
    check_seed(seed)
    remedy = f"choose {LEAST_RESAMPLES} to {MOST_RESAMPLES:,}, such as {RESAMPLES}"
    check_range(resamples, LEAST_RESAMPLES, MOST_RESAMPLES, f"{resamples} resamples are", remedy)
