"""An audit in words: families, nearest relatives, who was cut from whom, models of two origins, what stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fnet_core.lineage.audit import Audit
    from fnet_core.lineage.kinship import Family

MOST_NAMES = 12
"""Names that a sentence lists before it only counts."""


def told(audit: Audit, detail: bool = True) -> list[str]:
    """Sentences, the largest family first; without `detail` one for each family, and what no family holds."""
    labels = audit.labels
    lines: list[str] = []
    for number, family in enumerate(audit.families, start=1):
        lines += _family(audit, number, family) if detail else [_family(audit, number, family)[0]]
    alone = [label for at, label in enumerate(labels) if audit.family_of(at) is None]
    if alone and audit.families:
        lines.append(f"Related to none of the others, as far as this shows: {listed(alone)}.")
    elif alone:
        lines.append(f"No two of the {len(labels)} models are shown to be related.")
    open_pairs = [
        pair
        for pair in audit.pairs
        if pair.outcome == "inconclusive" and pair.basis is None and not _in_one_family(audit, pair.a, pair.b)
    ]
    if open_pairs:
        first = [f"{labels[pair.a]} and {labels[pair.b]}" for pair in open_pairs]
        lines.append(f"Not settled either way ({_count(len(first), 'pair')}): {listed(first, '; ')}.")
    refused = [pair for pair in audit.pairs if pair.why]
    if refused:
        lines.append(f"{_count(len(refused), 'pair')} could not be compared. The first: {refused[0].why}")
    lines += [f"{failure.label} could not be read: {failure.why}" for failure in audit.failures]
    return lines


def _family(audit: Audit, number: int, family: Family) -> list[str]:
    labels = audit.labels
    members = [labels[model] for model in audit.members(family)]
    inside = [pair for pair in audit.pairs if {pair.a, pair.b} <= set(family.members)]
    verdicts = sum(pair.basis == "verdict" for pair in inside)
    neurons = sum(pair.basis == "neurons" for pair in inside)
    same = [pair for pair in inside if pair.outcome == "same model"]
    lines = [
        f"Family {number}: {listed(members)} descend from a common model; {_basis(len(inside), verdicts, neurons)}"
    ]
    if same:
        twins = [f"{labels[pair.a]} and {labels[pair.b]}" for pair in same]
        lines.append(f"One model under two names: {listed(twins, '; ')}.")
    if len(members) > 2:
        lines.append(
            f"{labels[family.centre]} is on average most like the others of family {number}, so it is likely the "
            "nearest of them to their common origin."
        )
        nearest = [f"{labels[a]} with {labels[b]} ({audit.pair(a, b).score:.2f})" for a, b in family.branches]
        lines.append(f"Nearest relatives, by score: {listed(nearest)}.")
    directed = []
    for a, b in family.branches:
        if cut := audit.cut(a, b):
            directed.append(f"{labels[cut.result]} {cut.why.format(source=labels[cut.source])}")
    lines += [f"{line}: cut or doubled from it, unless that was made by undoing this." for line in directed]
    if len(directed) < len(family.branches):
        rest = " otherwise" if directed else ""
        lines.append(f"Who came from whom in family {number} does not show{rest}; they are related.")
    for model, one, other in family.bridges:
        lines.append(
            f"{labels[model]} is related to {labels[one]} and to {labels[other]}, which are independent of each other: "
            "it may hold parts of both."
        )
    return lines


def _basis(pairs: int, verdicts: int, neurons: int) -> str:
    """What a family rests on, as the end of a sentence."""
    related = verdicts + neurons
    many = f"{related} of its {pairs:,} pairs" if related < pairs else f"all {pairs:,} pairs"
    told = "the pair" if pairs == 1 else many
    if not neurons:
        return f"{told} {_are(verdicts)} judged derived."
    unconfirmed = (
        "for which there is no verdict because the fingerprint does not confirm it; models that began from the same "
        "random weights and were hardly trained show it too."
    )
    if not verdicts:
        return f"the independence test alone says so of {told}, {unconfirmed}"
    return (
        f"{verdicts} of its {pairs:,} pairs {_are(verdicts)} judged derived, {neurons} more {_are(neurons)} related by "
        f"the independence test alone, {unconfirmed}"
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _in_one_family(audit: Audit, a: int, b: int) -> bool:
    family = audit.family_of(a)
    return family is not None and family == audit.family_of(b)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], between: str = ", ") -> str:
    """As "a, b and c", and how many more where there are too many."""
    if len(names) > MOST_NAMES:
        shown = between.join(names[:MOST_NAMES])
        return f"{shown} and {len(names) - MOST_NAMES} more"
    if len(names) < 2:
        return "".join(names)
    last = "; and " if between == "; " and len(names) > 2 else " and "
    return between.join(names[:-1]) + last + names[-1]
