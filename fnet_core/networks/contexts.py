"""What drives a network, read off its atlas: its strongest and weakest places, a word's networks, positions.

Shape legend: S passages, T tokens of all passages, K networks.
"""

import numpy as np
import pandas as pd

from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.labels import words_of_tokens

AROUND = 60
"""Characters shown on either side of a place."""
LED_BY_POSITION = 0.3
"""From this share of a time course's variance on, a position in the text says more of a network than any word."""
POSITIONS = ("first token", "sentence start", "line start")
_ENDS = ".!?…。！？"
_CLOSING = "\"'”’)]»」』"


def contexts(atlas: Atlas, network: int, count: int = 20, silent: bool = False) -> pd.DataFrame:
    """The places where a network is most active, or with `silent` the lowest, one row each, the most extreme first.

    Columns: activity (standard deviations over all tokens), before, word, after, passage, token. Of tokens that stand
    within one word the more extreme one is listed. RequestError for a network that the atlas does not have.

    >>> import fnet_core as fn
    >>> from fnet_core.networks.contexts import contexts
    >>> found = contexts(fn.find_atlas("tiny", components=4), 0, count=3)
    >>> len(found), bool(found["activity"].is_monotonic_decreasing)
    (3, True)
    """
    scale = atlas.course_scale(network)
    activity_T = np.concatenate([course[:, network] for course in atlas.courses]) / scale
    passage_T = np.concatenate([np.full(len(course), s) for s, course in enumerate(atlas.courses)])
    token_T = np.concatenate([np.arange(len(course)) for course in atlas.courses])
    rows: list[tuple[float, str, str, str, str, int]] = []
    seen: set[tuple[int, int]] = set()
    for at in np.argsort(activity_T if silent else -activity_T, kind="stable"):
        if len(rows) == count:
            break
        passage = atlas.passages[passage_T[at]]
        start, end = _word_around(passage.text, *atlas.offsets[passage_T[at]][token_T[at]].tolist())
        if (int(passage_T[at]), start) in seen:
            continue
        seen.add((int(passage_T[at]), start))
        before, word, after = (
            _visible(part)
            for part in (passage.text[max(0, start - AROUND) : start], passage.text[start:end], passage.text[end:])
        )
        rows.append((float(activity_T[at]), before, word, after[:AROUND], passage.name, int(token_T[at])))
    return pd.DataFrame(rows, columns=["activity", "before", "word", "after", "passage", "token"])


def networks_of_word(atlas: Atlas, word: str) -> pd.DataFrame:
    """Every network by its mean activity at a word, highest first: network, label, activity, error, times.

    `activity` is in standard deviations, `error` the standard error of that mean over the word's `times` (NaN for one).
    Upper and lower case count as one. RequestError for a word that does not stand in the atlas's text.
    """
    sought = word.strip().casefold()
    at_T = np.array([name.casefold() == sought for name in _words(atlas)])
    if not sought or not at_T.any():
        raise RequestError(f"'{word.strip()[:40]}' is no word of the text in which these networks were found.")
    courses_TK = _scaled(atlas)[at_T]
    times = len(courses_TK)
    found = pd.DataFrame(
        {
            "network": np.arange(len(atlas)),
            "label": atlas.named,
            "activity": courses_TK.mean(axis=0),
            "error": courses_TK.std(axis=0, ddof=1) / np.sqrt(times) if times > 1 else np.nan,
            "times": times,
        }
    )
    return found.sort_values("activity", ascending=False, kind="stable").reset_index(drop=True)


def position_shares(atlas: Atlas) -> pd.DataFrame:
    """How much of each network's time course a position alone explains, 0 to 1: network and one column per POSITIONS.

    The squared correlation of the course with "is such a token". A network led by a position, see LED_BY_POSITION,
    answers to where a token stands and not to what it says.
    """
    courses_TK = _scaled(atlas)
    centred_TK = courses_TK - courses_TK.mean(axis=0)
    power_K = (centred_TK**2).sum(axis=0)
    shares: dict[str, np.ndarray] = {}
    for name, is_T in zip(POSITIONS, _positions(atlas), strict=True):
        flag_T = is_T - is_T.mean()
        bottom_K = power_K * (flag_T**2).sum()
        top_K = (flag_T @ centred_TK) ** 2
        shares[name] = np.divide(top_K, bottom_K, out=np.zeros_like(top_K), where=bottom_K > 0)
    return pd.DataFrame({"network": np.arange(len(atlas)), **shares})


def led_by_position(atlas: Atlas, network: int) -> str | None:
    """A sentence where a position explains so much of a network that its words should not be read as meaning."""
    return led_by_positions(atlas)[network]


def led_by_positions(atlas: Atlas) -> list[str | None]:
    """`led_by_position` of every network, from one look at the text."""
    shares = position_shares(atlas)
    said: list[str | None] = []
    for name, share in zip(shares[list(POSITIONS)].idxmax(axis=1), shares[list(POSITIONS)].max(axis=1), strict=True):
        led = share >= LED_BY_POSITION
        sentence = f"Position, not meaning: being a {name} explains {100 * share:.0f} % of this network's activity."
        said.append(sentence if led else None)
    return said


def _words(atlas: Atlas) -> list[str]:
    return [
        word
        for passage, offsets_T2 in zip(atlas.passages, atlas.offsets, strict=True)
        for word in words_of_tokens(passage.text, offsets_T2)
    ]


def _scaled(atlas: Atlas) -> np.ndarray:
    """All time courses in standard deviations, (T, K) float64."""
    courses_TK = np.concatenate(atlas.courses).astype(np.float64)
    return courses_TK / np.array([atlas.course_scale(network) for network in range(len(atlas))])


def _positions(atlas: Atlas) -> np.ndarray:
    """Whether each token is the first of its passage, of a sentence, of a line: (3, T) float64."""
    flags = []
    for passage, offsets_T2 in zip(atlas.passages, atlas.offsets, strict=True):
        for number, (start, end) in enumerate(offsets_T2.tolist()):
            word = passage.text[start:end].lstrip()
            if not word:  # a line break is the end of a line, and a space the start of nothing
                flags.append((number == 0, False, False))
                continue
            start = end - len(word)
            before = passage.text[:start]
            text = before.rstrip().rstrip(_CLOSING)
            white = before[len(before.rstrip()) :]
            flags.append((number == 0, number == 0 or (bool(white) and text[-1:] in _ENDS), "\n" in white))
    return np.array(flags, dtype=np.float64).T


def _word_around(text: str, start: int, end: int) -> tuple[int, int]:
    """The bounds of the word that a token stands in; the token's own where it is no part of a word."""
    own = start, end
    while start < end and text[start].isspace():
        start += 1
    if start == end:
        return own
    if text[start].isalnum():
        while start > 0 and text[start - 1].isalnum():
            start -= 1
    if text[end - 1].isalnum():
        while end < len(text) and text[end].isalnum():
            end += 1
    return start, end


def _visible(text: str) -> str:
    return text.replace("\n", "↵")
