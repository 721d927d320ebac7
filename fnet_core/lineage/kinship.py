"""Which of many models descend from a common one, who is nearest to whom, and from whom to whom where that can be told.

All it takes is which pairs are related, how alike they are, and which layers match. Models are numbers from 0 on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from fnet_core.lineage.layer_map import NONE

Basis = Literal["verdict", "neurons"]
"""What a relation rests on: the verdict, which needs fingerprint and test, or the test alone, which gives none."""

Pair = tuple[int, int]
"""The smaller number first."""


@dataclass(frozen=True)
class Relation:
    """Two related models."""

    basis: Basis
    likeness: float
    """Any number that grows with how alike they are."""


@dataclass(frozen=True)
class Cut:
    """That one model is cut or doubled from another, as far as their shapes tell."""

    source: int
    result: int
    why: str
    """As "has 4 of the 6 layers of {source}, in order, and no other", the place of the source's name left open."""


@dataclass(frozen=True)
class Family:
    """Models that descend from a common one, as far as their relations say."""

    members: tuple[int, ...]
    branches: tuple[Pair, ...]
    """The tree: the likest related pairs that hold the family together, strongest first."""
    centre: int
    """The member that is on average most like the others."""
    bridges: tuple[tuple[int, int, int], ...]
    """A model that is related to two others which are independent of each other: (model, one, other)."""


def families(
    count: int, relations: Mapping[Pair, Relation], unrelated: Callable[[int, int], bool] = lambda a, b: False
) -> tuple[Family, ...]:
    """The families of two or more among `count` models, largest first, then by their first member.

    `unrelated` says of two models that they are known to be independent, which shows a model made of two origins.
    """
    root = list(range(count))

    def find(model: int) -> int:
        while root[model] != model:
            root[model] = root[root[model]]
            model = root[model]
        return model

    branches: list[Pair] = []
    for a, b in sorted(relations, key=lambda pair: (-relations[pair].likeness, pair)):
        first, second = find(a), find(b)
        if first != second:
            root[second] = first
            branches.append((a, b))
    groups: dict[int, list[int]] = {}
    for model in range(count):
        groups.setdefault(find(model), []).append(model)
    found = [
        Family(
            tuple(members),
            tuple(branch for branch in branches if branch[0] in members),
            _centre(members, relations),
            _bridges(members, relations, unrelated),
        )
        for members in groups.values()
        if len(members) > 1
    ]
    return tuple(sorted(found, key=lambda family: (-len(family.members), family.members)))


def _centre(members: Sequence[int], relations: Mapping[Pair, Relation]) -> int:
    def likeness(model: int) -> float:
        pairs = [(min(model, other), max(model, other)) for other in members if other != model]
        return sum(relations[pair].likeness for pair in pairs if pair in relations)

    return max(members, key=lambda model: (likeness(model), -model))


def _bridges(
    members: Sequence[int], relations: Mapping[Pair, Relation], unrelated: Callable[[int, int], bool]
) -> tuple[tuple[int, int, int], ...]:
    related: dict[int, list[int]] = {model: [] for model in members}
    for a, b in relations:
        if a in related:
            related[a].append(b)
            related[b].append(a)
    found = []
    for model in members:
        kin = sorted(related[model])
        pair = next(((a, b) for at, a in enumerate(kin) for b in kin[at + 1 :] if unrelated(a, b)), None)
        if pair:
            found.append((model, *pair))
    return tuple(found)


def cut_between(
    a: int,
    b: int,
    matched_J: Sequence[int],
    matched_L: Sequence[int],
    widths: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> Cut | None:
    """Which of two related models is cut or doubled from the other; None where their shapes do not tell.

    `matched_J` gives for each layer of b the layer of a, `matched_L` for each of a that of b, -1 for none; `widths` are
    the MLP neurons of the layers of each. It tells by shape alone: a copy changed in its numbers goes either way.
    """
    forward = _made_from(matched_J, matched_L, widths)
    backward = _made_from(matched_L, matched_J, widths[::-1])
    if bool(forward) == bool(backward):
        return None
    return Cut(a, b, forward) if forward else Cut(b, a, backward)


def _made_from(matched_J: Sequence[int], matched_L: Sequence[int], widths: tuple[Sequence[int], Sequence[int]]) -> str:
    """How a second model is made from a first by cutting or doubling alone; empty where it is not."""
    layers, others = len(matched_L), len(matched_J)
    if not layers or not others or NONE in matched_J:
        return ""
    doubled = sum(after == before for before, after in pairwise(matched_J))
    if doubled and others > layers and NONE not in matched_L:
        return f"has all {layers} layers of {{source}}, {doubled} of them more than once"
    if doubled:
        return ""
    wide, narrow = widths
    pairs = [(wide[i], narrow[j]) for j, i in enumerate(matched_J)] if wide and narrow else []
    if any(second > first for first, second in pairs):
        return ""
    thinner = sum(second < first for first, second in pairs)
    if others < layers and matched_L.count(NONE) == layers - others:
        also = f", {thinner} of them with fewer neurons" if thinner else ""
        return f"has {others} of the {layers} layers of {{source}}, in order, and no other{also}"
    if thinner and others == layers:
        share = sum(second for _, second in pairs) / sum(first for first, _ in pairs)
        return f"has {share:.0%} of the MLP neurons of {{source}}, layer by layer"
    return ""
