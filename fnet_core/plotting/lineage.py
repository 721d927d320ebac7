"""A comparison of two models as plotly figures: the score among known pairs, the matrix, signals, second opinions.

Model a is teal, model b orange; derived pairs are red, independent ones blue. Names and labels, which come from files,
are escaped. Shape legend: K, J networks of a and of b, L, J layers of a and of b, G grid positions of one passage.
"""

from functools import partial
from html import escape as html_escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fnet_core.lineage.comparison import Comparison, signed_agreement
from fnet_core.lineage.grid import STEP, grid_positions
from fnet_core.lineage.reference import ReferencePair
from fnet_core.lineage.verdict import MARGIN
from fnet_core.lineage.weight_curves import normalised
from fnet_core.plotting.style import ACCENT, GREY, NEGATIVE, POSITIVE, colorbar, fading, finish, rgba

SECOND = (232, 131, 58)
"""The colour of model b; model a has the accent colour."""

SIGNALS_NOTE = (
    "The activity of both networks along the passage, each in its own standard deviations, read every few "
    "characters. Point at a place to read the text there. A network's sign is arbitrary, so B is turned over where the "
    "two go against each other."
)
MATRIX_NOTE = (
    "Similarity of every network of A (rows) with every network of B (columns), in the order of the matching: abs(ρ), "
    "the rank correlation of their signals beyond what the text's surface (characters, words, their counts and places) "
    "explains, averaged over the passages. The best partners stand on the diagonal, so a faint one shows for any two "
    "models; related ones have a strong one. Networks without a signal are left out."
)
CURVES_NOTE = (
    "For each layer, how widely the weights of its query (Q), key (K), value (V) and output (O) projections spread. "
    "The method's paper (arXiv 2507.03014) was withdrawn by arXiv in April 2026, after critics showed two independent "
    "models, DeepSeek-LLM-7B and Llama-2-7B, agreeing at r = 0.91. Do not accuse anybody on this."
)
LAYERS_NOTE = (
    "How alike two layers place the same spots of the text relative to each other: 1 is alike, 0 is not at all. A few "
    "directions with very large activations, which independent models share, can make it high for everything."
)
"""What one sees in a figure, for its caption."""

CONTEXT_CHARACTERS = 24
"""Text shown on either side of a position."""

escape = partial(html_escape, quote=False)
"""Plotly shows what stands for a quotation mark as it is written, so these stay."""

_KINDS = {"derived": POSITIVE, "independent": NEGATIVE}
_ROWS = ("independent pairs", "derived pairs", "mismatched passages", "this pair")
"""Of the figure of the score, from the bottom up."""
_UNREAD = ", hardly reads the passages"
_LINE = {"color": rgba(GREY, 0.8), "width": 1, "dash": "dash"}

_UNDER, _OVER = {"color": rgba(ACCENT, 0.75), "width": 3.2}, {"color": rgba(SECOND, 1.0), "width": 1.4}
"""The lines of a and of b: the wider one below shows where both are the same."""


def _names(comparison: Comparison) -> tuple[str, str]:
    """Escaped names of both models, told apart where they are the same."""
    a, b = escape(comparison.a.model.name), escape(comparison.b.model.name)
    return (a, b) if a != b else (f"{a} (A)", f"{b} (B)")


def score_on_reference(comparison: Comparison) -> go.Figure:
    """This pair's score and interval among the reference pairs, with the cuts and the mismatched passages."""
    figure = go.Figure()
    _reference_pairs(figure, comparison.reference.pairs if comparison.reference else ())
    figure.add_scatter(
        x=comparison.null_scores,
        y=["mismatched passages"] * len(comparison.null_scores),
        mode="markers",
        name="mismatched passages",
        marker={"size": 9, "symbol": "x-thin", "line": {"color": rgba(GREY, 1.0), "width": 2}},
        hovertemplate="this pair, mismatched passages<br><b>score %{x:.2f}</b><extra></extra>",
    )
    _this_pair(figure, comparison)
    if cuts := comparison.verdict.cuts:
        for x, text, side in (
            (cuts.independent_below, "independent below", "top left"),
            (cuts.derived_above, "derived above", "top right"),
        ):
            figure.add_vline(
                x=x, line=_LINE, annotation_text=f"{text} {x:.2f}", annotation_position=side, annotation_font_size=11
            )
    rows = [row for row in _ROWS if any(row in trace.y for trace in figure.data)]
    figure.update_yaxes(categoryorder="array", categoryarray=rows, range=[-0.6, len(rows) - 0.3], automargin=True)
    figure.update_xaxes(range=[0, 1.02])
    title = "score: mean matched abs(partial Spearman)"
    finish(figure, "Score among known pairs", title, "", height=130 + 42 * len(rows))
    return figure.update_layout(margin={"t": 64})


def _reference_pairs(figure: go.Figure, pairs: tuple[ReferencePair, ...]) -> None:
    """A row of points for either kind; those that move no cut are hollow."""
    for kind, colour in _KINDS.items():
        shown = [pair for pair in pairs if pair.kind == kind]
        figure.add_scatter(
            x=[pair.score for pair in shown],
            y=[f"{kind} pairs"] * len(shown),
            mode="markers",
            name=f"{kind} pair",
            marker={
                "color": rgba(colour, 0.75),
                "size": 11,
                "symbol": ["circle" if pair.reads else "circle-open" for pair in shown],
                "line": {"width": [0 if pair.reads else 2 for pair in shown]},
            },
            customdata=[
                [escape(pair.a), escape(pair.b), escape(pair.how) + ("" if pair.reads else _UNREAD)] for pair in shown
            ],
            hovertemplate="%{customdata[0]} and %{customdata[1]}<br>%{customdata[2]}<br><b>score %{x:.2f}</b>"
            "<extra></extra>",
        )


def _this_pair(figure: go.Figure, comparison: Comparison) -> None:
    """The score with its interval, on a band as wide as the interval that decides."""
    low, high = comparison.interval or (comparison.score, comparison.score)
    interval = f"<br>95 % interval {low:.2f} to {high:.2f}" if comparison.interval else ""
    if comparison.interval:
        figure.add_scatter(
            x=[max(0.0, low - MARGIN), min(1.0, high + MARGIN)],
            y=["this pair"] * 2,
            mode="lines",
            name="what decides",
            line={"color": rgba(ACCENT, 0.45), "width": 9},
            cliponaxis=False,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[comparison.score],
        y=["this pair"],
        mode="markers",
        name="this pair",
        marker={"color": rgba(ACCENT, 1.0), "size": 15, "symbol": "diamond-tall"},
        cliponaxis=False,
        error_x={"array": [high - comparison.score], "arrayminus": [comparison.score - low], "thickness": 2.5},
        hovertemplate=f"this pair<br><b>score %{{x:.2f}}</b>{interval}<extra></extra>",
    )


def score_note(comparison: Comparison) -> str:
    """What the marks in the figure of the score are, and where the reference pairs come from."""
    band = f"The band is the 95 % interval widened by {MARGIN:.2f} on either side, which decides. "
    told = band if comparison.interval else ""
    known = comparison.reference
    if known is None:
        return told + "No reference pairs are stored yet, so there is nothing to hold the score against."
    told += f"{len(known.pairs)} reference pairs, {known.measured}; point at one to see which models."
    if known.protocol != comparison.a.reference_digest:
        told += " They were measured with other passages, settings or another version of the method, and are shown for "
        told += "orientation."
    if unread := sum(not pair.reads for pair in known.pairs):
        told += f" {unread} of them {'is' if unread == 1 else 'are'} hollow and decide nothing, because one of the "
        told += "models hardly reads the passages."
    return told


def matrix(comparison: Comparison) -> go.Figure:
    """Abs partial Spearman of all usable pairs of networks in the order of the matching: matched on the diagonal."""
    rows, columns = matrix_order(comparison)
    a, b = _names(comparison)
    values = comparison.matrix_KJ[np.ix_(rows, columns)]
    labels_a, labels_b = ([escape(label) for label in side.labels] for side in (comparison.a, comparison.b))
    labels = np.array([[[labels_a[k], labels_b[j]] for j in columns] for k in rows], dtype=object)
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[str(j) for j in columns],
            y=[str(k) for k in rows],
            customdata=labels,
            colorscale=fading(ACCENT),
            zmin=0,
            zmax=1,
            colorbar=colorbar("abs(ρ)"),
            hovertemplate="network %{y}: %{customdata[0]}<br>network %{x}: %{customdata[1]}<br><b>%{z:.2f}</b>"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", nticks=16)
    figure.update_yaxes(type="category", nticks=16, autorange="reversed")
    title = "All pairs of networks, matched ones on the diagonal"
    return finish(figure, title, f"network of {b}", f"network of {a}", height=520)


def matrix_order(comparison: Comparison) -> tuple[list[int], list[int]]:
    """Usable networks of a and of b, matched ones first, strongest pair first."""
    sides = []
    for column, axis in ((0, 1), (1, 0)):
        matched = comparison.matched_M2[:, column].tolist()
        usable = np.flatnonzero(~np.isnan(comparison.matrix_KJ).all(axis=axis)).tolist()
        sides.append(matched + [k for k in usable if k not in matched])
    return sides[0], sides[1]


def pair_series(comparison: Comparison, pair: int, passage: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Characters of the grid and both signals of one matched pair there, (G,) each; and whether b's was turned over.

    It is turned over where they go against each other as the score has it, for a network's sign is arbitrary.
    """
    k, j = comparison.matched_M2[pair]
    x_G = comparison.a.grid_signals(passage)[k].astype(np.float32)
    y_G = comparison.b.grid_signals(passage)[j].astype(np.float32)
    positions_G = grid_positions(len(comparison.a.passages[passage].text), comparison.a.protocol.get("step", STEP))
    turned = signed_agreement(comparison, pair, passage) < 0
    return positions_G, x_G, -y_G if turned else y_G, turned


def matched_signals(comparison: Comparison, pair: int = 0, passage: int = 0) -> go.Figure:
    """The signals of one matched pair along one passage; the second is turned over where they go against each other."""
    k, j = (int(network) for network in comparison.matched_M2[pair])
    text = comparison.a.passages[passage].text
    positions_G, x_G, y_G, turned = pair_series(comparison, pair, passage)
    around = [
        escape(f"{text[max(0, c - CONTEXT_CHARACTERS) : c]}[{text[c]}]{text[c + 1 : c + 1 + CONTEXT_CHARACTERS]}")
        for c in positions_G
    ]
    figure = go.Figure()
    for name, network, label, values_G, line, over in (
        (_names(comparison)[0], k, comparison.a.labels[k], x_G, _UNDER, ""),
        (_names(comparison)[1], j, comparison.b.labels[j], y_G, _OVER, ", turned over" if turned else ""),
    ):
        figure.add_scatter(
            x=positions_G,
            y=values_G,
            mode="lines",
            name=f"{name}, network {network}: {escape(label)}{over}",
            line=line | {"shape": "hv"},
            customdata=around,
            hovertemplate="%{customdata}<br><b>%{y:.2f}</b><extra></extra>",
        )
    value = comparison.passage_values_MP[pair, passage]
    agreement = "silent in one model" if np.isnan(value) else f"abs(ρ) = {value:.2f}"
    title = f"Signals of a matched pair on {escape(comparison.a.passages[passage].name)}, {agreement}"
    finish(figure, title, "character of the passage", "standard deviations", height=340)
    return _legend(figure)


def weight_curves(comparison: Comparison) -> go.Figure:
    """Spread of the Q, K, V and O weights over relative depth, each curve in its own standard deviations."""
    values = [getattr(comparison.curves, name) for name in "qkvo"]
    titles = [f"{n}: flat" if r is None else f"{n}: r = {r:.2f}" for n, r in zip("QKVO", values, strict=True)]
    figure = make_subplots(rows=1, cols=4, subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.03)
    for side, name, line in zip((comparison.a, comparison.b), _names(comparison), (_UNDER, _OVER), strict=True):
        curves_4L = normalised(side.curves_4L)
        depth_L = np.linspace(0, 1, curves_4L.shape[1])
        for column, curve_L in enumerate(curves_4L, start=1):
            figure.add_scatter(
                x=depth_L,
                y=curve_L,
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                line=line,
                hovertemplate=f"{name}, depth %{{x:.2f}}<br><b>%{{y:.2f}}</b><extra></extra>",
                row=1,
                col=column,
            )
    finish(figure, "Attention-weight curves", "relative depth", "", height=320)
    figure.update_yaxes(title_text="standard deviations", col=1)
    return _legend(figure).update_layout(margin={"t": 112}, legend={"y": 1.16})


def layer_similarity(comparison: Comparison) -> go.Figure:
    """Linear CKA of every layer of a with every layer of b, layer 0 at the bottom left."""
    a, b = _names(comparison)
    figure = go.Figure(
        go.Heatmap(
            z=comparison.layers.heatmap_LJ,
            colorscale=fading(ACCENT),
            zmin=0,
            zmax=1,
            colorbar=colorbar("CKA"),
            hovertemplate=f"{a}, layer %{{y}}<br>{b}, layer %{{x}}<br><b>CKA %{{z:.2f}}</b><extra></extra>",
        )
    )
    return finish(figure, "Layers against layers (linear CKA)", f"layer of {b}", f"layer of {a}", height=460)


def untitled(figure: go.Figure, top: int) -> go.Figure:
    """The figure without its title, for below a heading that says it, and with `top` pixels above the plot."""
    height = figure.layout.height - figure.layout.margin.t + top
    return figure.update_layout(title={"text": ""}, height=height, margin={"t": top})


def _legend(figure: go.Figure) -> go.Figure:
    legend = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    return figure.update_layout(showlegend=True, legend=legend, margin={"t": 76})
