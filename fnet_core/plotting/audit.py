"""An audit as plotly figures: every pair as a heat map, and each family as a tree of nearest relatives.

Names, which come from files, are escaped. Shape legend: S subjects.
"""

import math
from functools import partial
from html import escape as html_escape

import numpy as np
import plotly.graph_objects as go

from fnet_core.lineage.audit import Audit, AuditPair
from fnet_core.plotting.style import ACCENT, GREY, NEGATIVE, POSITIVE, colorbar, fading, finish, network_colour, rgba

MATRIX_NOTE = (
    "Every model against every other, members of a family side by side and framed. The colour is the score, how well "
    "the matched networks agree; the sign is the verdict: D derived, = the same model, N related by the independence "
    "test alone, for which there is no verdict, a dot independent, ? inconclusive, x not comparable."
)
TREE_NOTE = (
    "Each family as the tree that its strongest pairs make, the model most like all others in the middle. An arrow "
    "points from a model to one that is cut or doubled from it, where shapes tell; a plain line says related and no "
    "more. Distances mean nothing but near and far."
)
"""What one sees in a figure, for its caption."""

NAME_CHARACTERS = 28
_DARK = 0.45
"""From this score on a cell is so dark that its sign is white."""
escape = partial(html_escape, quote=False)
_SIGNS = {"derived": "D", "independent": "·", "inconclusive": "?", "same model": "=", "not comparable": "×"}


def sign(pair: AuditPair) -> str:
    """One letter for what was found of a pair."""
    return "N" if pair.basis == "neurons" else _SIGNS[pair.outcome]


def short(label: str) -> str:
    """A name as an axis shows it, its middle left out where it is long."""
    if len(label) <= NAME_CHARACTERS:
        return label
    half = (NAME_CHARACTERS - 1) // 2
    return f"{label[:half]}…{label[-half:]}"


def axis_labels(found: Audit) -> list[str]:
    """The subjects in the order of the matrix, short and told apart."""
    names = [short(found.labels[at]) for at in found.order]
    return [escape(name if names.count(name) == 1 else f"{name} ({row})") for row, name in enumerate(names)]


def matrix(found: Audit) -> go.Figure:
    """Score and verdict of every pair, families together; point at a cell for its numbers.

    The cells are also points of the last trace, so that a click gives an event, which a heat map does not: their
    customdata begin with the places of both subjects.
    """
    order, names = found.order, axis_labels(found)
    count = len(order)
    scores_SS = np.full((count, count), np.nan)
    cells, texts = [], []
    for row, a in enumerate(order):
        for column, b in enumerate(order):
            if a == b:
                continue
            pair = found.pair(a, b)
            scores_SS[row, column] = np.nan if pair.score is None else pair.score
            cells.append((column, row, [a, b, _hover(found, a, b)]))
            colour = "white" if (pair.score or 0.0) > _DARK else rgba(GREY, 1.0)
            texts.append((column, row, sign(pair), colour))
    figure = go.Figure(
        go.Heatmap(
            z=scores_SS,
            x=list(range(count)),
            y=list(range(count)),
            colorscale=fading(ACCENT),
            zmin=0,
            zmax=1,
            colorbar=colorbar("score"),
            hoverinfo="skip",
            xgap=1,
            ygap=1,
        )
    )
    if count <= 30:
        figure.add_scatter(
            x=[x for x, *_ in texts],
            y=[y for _, y, *_ in texts],
            text=[said for _, _, said, _ in texts],
            mode="text",
            textfont={"size": 13, "color": [colour for *_, colour in texts]},
            hoverinfo="skip",
        )
    start = 0
    for family in found.families:
        end = start + len(family.members)
        edge = {"color": rgba(GREY, 1.0), "width": 1.5}
        figure.add_shape(type="rect", x0=start - 0.5, x1=end - 0.5, y0=start - 0.5, y1=end - 0.5, line=edge)
        start = end
    size = max(6, min(34, 420 // max(count, 1)))
    figure.add_scatter(
        x=[x for x, _, _ in cells],
        y=[y for _, y, _ in cells],
        customdata=[data for _, _, data in cells],
        mode="markers",
        marker={"symbol": "square", "size": size, "color": "rgba(0,0,0,0)"},
        hovertemplate="%{customdata[2]}<extra></extra>",
    )
    ticks = {"tickmode": "array", "tickvals": list(range(count)), "ticktext": names, "range": [-0.5, count - 0.5]}
    figure.update_xaxes(**ticks, tickangle=-40, automargin=True)
    figure.update_yaxes(**ticks | {"range": [count - 0.5, -0.5]}, automargin=True)
    return finish(figure, "Every pair", "", "", height=max(360, 150 + min(34, 700 // max(count, 1)) * count))


def _hover(found: Audit, a: int, b: int) -> str:
    pair = found.pair(a, b)
    names = f"{escape(found.labels[a])}<br>{escape(found.labels[b])}<br>"
    if pair.evidence is None:
        return f"{names}<b>not comparable</b>"
    interval = pair.evidence.evidence.interval
    between = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    tested = (
        f"<br>p {pair.p:.2g}, corrected {pair.holm_p:.2g}" if pair.p is not None and pair.holm_p is not None else ""
    )
    alone = "<br>related by the independence test alone" if pair.basis == "neurons" else ""
    neurons = pair.evidence.neurons
    layers = f"<br>{neurons.matching} of {len(neurons.matched_J)} layers match" if neurons else ""
    return f"{names}<b>{pair.outcome}</b>, score {pair.score:.2f}{between}{tested}{layers}{alone}"


def tree(found: Audit) -> go.Figure:
    """Each family as the tree of its likest pairs, the centre in the middle, side by side."""
    figure = go.Figure()
    offset = 0.0
    spots: dict[int, tuple[float, float]] = {}
    for family in found.families:
        placed = _placed(family.centre, family.branches)
        radius = max((math.hypot(x, y) for x, y in placed.values()), default=1.0)
        spots |= {model: (x + offset + radius, y) for model, (x, y) in placed.items()}
        offset += 2 * radius + 1.4
    for number, family in enumerate(found.families):
        colour = network_colour(number)
        for a, b in family.branches:
            _branch(figure, found, a, b, spots)
        figure.add_scatter(
            x=[spots[model][0] for model in family.members],
            y=[spots[model][1] for model in family.members],
            text=[escape(short(found.labels[model])) for model in family.members],
            customdata=[[escape(found.labels[model])] for model in family.members],
            mode="markers+text",
            textposition=[_side(spots[model], spots[family.centre]) for model in family.members],
            marker={
                "size": [18 if model == family.centre else 13 for model in family.members],
                "color": colour,
                "line": {"width": 0},
            },
            hovertemplate="%{customdata[0]}<extra>family " + str(number + 1) + "</extra>",
        )
    figure.update_xaxes(visible=False, range=[-0.9, max(offset, 2.0) - 0.5])
    reach = max((abs(y) for _, y in spots.values()), default=1.0)
    figure.update_yaxes(visible=False, range=[-reach - 0.5, reach + 0.7])
    return finish(figure, "Families", "", "", height=320 + int(60 * reach))


def _side(spot: tuple[float, float], centre: tuple[float, float]) -> str:
    """Where a name stands beside its mark: away from the lines, which leave the centre to every side but the right."""
    if spot == centre:
        return "middle right"
    up = spot[1] - centre[1]
    return "middle left" if abs(up) < 0.1 else "top center" if up > 0 else "bottom center"


def _branch(figure: go.Figure, found: Audit, a: int, b: int, spots: dict[int, tuple[float, float]]) -> None:
    cut, pair = found.cut(a, b), found.pair(a, b)
    source, result = (cut.source, cut.result) if cut else (a, b)
    (x0, y0), (x1, y1) = spots[source], spots[result]
    colour = rgba(POSITIVE if pair.basis == "verdict" else NEGATIVE, 0.55)
    dash = None if pair.basis == "verdict" else "dot"
    figure.add_scatter(
        x=[x0, x1],
        y=[y0, y1],
        mode="lines",
        line={"color": colour, "width": 1 + 4 * (pair.score or 0.0), "dash": dash},
        hoverinfo="skip",
    )
    if cut:
        figure.add_annotation(
            x=x0 + 0.62 * (x1 - x0),
            y=y0 + 0.62 * (y1 - y0),
            ax=x0 + 0.38 * (x1 - x0),
            ay=y0 + 0.38 * (y1 - y0),
            xref="x",
            yref="y",
            axref="x",
            ayref="y",
            arrowhead=2,
            arrowsize=1.4,
            arrowwidth=1.6,
            arrowcolor=rgba(GREY, 1.0),
            text="",
        )
    figure.add_scatter(
        x=[(x0 + x1) / 2],
        y=[(y0 + y1) / 2],
        customdata=[_hover(found, a, b)],
        mode="markers",
        marker={"size": 14, "color": "rgba(0,0,0,0)"},
        hovertemplate="%{customdata}<extra></extra>",
    )


def _placed(centre: int, branches: tuple[tuple[int, int], ...]) -> dict[int, tuple[float, float]]:
    """Where the members of a tree stand: rings around the centre, each branch in a sector as wide as it has leaves."""
    near: dict[int, list[int]] = {}
    for a, b in branches:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)

    def leaves(model: int, before: int | None) -> int:
        return sum(leaves(each, model) for each in near.get(model, []) if each != before) or 1

    spots = {centre: (0.0, 0.0)}
    waiting: list[tuple[int, int | None, float, float, int]] = [(centre, None, 0.0, 2 * math.pi, 0)]
    while waiting:
        model, before, start, width, ring = waiting.pop()
        children = [each for each in near.get(model, []) if each != before]
        total = sum(leaves(each, model) for each in children)
        for each in children:
            share = width * leaves(each, model) / total
            angle = start + share / 2
            spots[each] = ((ring + 1) * math.cos(angle), (ring + 1) * math.sin(angle))
            waiting.append((each, model, start, share, ring + 1))
            start += share
    return spots
