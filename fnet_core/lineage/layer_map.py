"""Which layer of one model matches which of another: the best monotone alignment, and what it says in words.

Shape legend: L, J layers of the one model and the other.
"""

from collections import defaultdict

import numpy as np

NONE = -1


def align(score_LJ: np.ndarray) -> np.ndarray:
    """For each layer of the second model the layer of the first that it matches, (J,) int64; -1 for none.

    Partners never go back in depth, and the sum of their scores is the largest there is; a layer may stand for
    several. Scores of 0 or less, and NaN, are no match.
    """
    layers, others = score_LJ.shape
    gain_LJ = np.where(score_LJ > 0, score_LJ, -np.inf)
    best = np.zeros((others + 1, layers + 1))
    for j in range(others):
        for i in range(layers):
            best[j + 1, i + 1] = max(best[j, i + 1], best[j + 1, i], best[j, i + 1] + gain_LJ[i, j])
    partner_J = np.full(others, NONE)
    j, i = others, layers
    while j and i:
        if best[j, i] == best[j, i - 1]:
            i -= 1
        elif best[j, i] != best[j - 1, i]:
            partner_J[j - 1] = i - 1
            j -= 1
        else:
            j -= 1
    return partner_J


def strays(score_LJ: np.ndarray, partner_J: np.ndarray) -> dict[int, int]:
    """Layers of the second model without a partner in order that match one of the first out of order."""
    best_J = np.where(score_LJ > 0, score_LJ, -np.inf).max(axis=0)
    return {int(j): int(score_LJ[:, j].argmax()) for j in np.flatnonzero((partner_J == NONE) & np.isfinite(best_J))}


def in_words(partner_J: np.ndarray, out_of_order: dict[int, int], layers: int, a: str, b: str) -> list[str]:
    """What the map of two models named `a` and `b` says, a sentence for each run, gap and doubled layer."""
    if (partner_J == NONE).all() and not out_of_order:
        return [f"No layer of {b} matches a layer of {a}."]
    said = []
    for first, last in _runs(partner_J):
        if partner_J[first] != NONE:
            theirs = layers_in_words(range(partner_J[first], partner_J[last] + 1))
            said.append(f"{_begun(range(first, last + 1))} of {b} {_verb(last - first)} {theirs} of {a}.")
    copies = defaultdict(list)
    for j, i in enumerate(partner_J):
        copies[int(i)].append(j)
    said += [
        f"Layer {i} of {a} stands {len(at)} times in {b}, as {layers_in_words(at)}."
        for i, at in sorted(copies.items())
        if i != NONE and len(at) > 1
    ]
    said += [f"Layer {j} of {b} matches layer {i} of {a} out of order." for j, i in out_of_order.items()]
    new = [j for j in range(len(partner_J)) if partner_J[j] == NONE and j not in out_of_order]
    gone = sorted(set(range(layers)) - set(partner_J.tolist()) - set(out_of_order.values()))
    for missing, own, other in ((new, b, a), (gone, a, b)):
        if missing:
            said.append(f"{_begun(missing)} of {own} {_verb(len(missing) - 1)} no layer of {other}.")
    return said


def _runs(partner_J: np.ndarray) -> list[tuple[int, int]]:
    """First and last layer of each stretch in which partners go on one by one, or are missing."""
    starts = [0]
    for j in range(1, len(partner_J)):
        both_missing = partner_J[j] == partner_J[j - 1] == NONE
        goes_on = partner_J[j] == partner_J[j - 1] + 1 and partner_J[j - 1] != NONE
        if not both_missing and not goes_on:
            starts.append(j)
    return list(zip(starts, [start - 1 for start in starts[1:]] + [len(partner_J) - 1], strict=True))


def layers_in_words(layers: range | list[int]) -> str:
    """As "layer 4", "layers 0 to 3, 7 and 9"."""
    listed = list(layers)
    starts = [k for k, layer in enumerate(listed) if not k or layer != listed[k - 1] + 1]
    parts = []
    for start, end in zip(starts, [*starts[1:], len(listed)], strict=True):
        stretch = listed[start:end]
        parts += [f"{stretch[0]} to {stretch[-1]}"] if len(stretch) > 2 else [str(layer) for layer in stretch]
    text = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    return f"layer {text}" if len(listed) == 1 else f"layers {text}"


def _begun(layers: range | list[int]) -> str:
    text = layers_in_words(layers)
    return text[0].upper() + text[1:]


def _verb(more: int) -> str:
    return "match" if more else "matches"
