"""What edits do, as tables and plotly figures: passages, doses, the importance of networks, the next token.

Untouched is grey, edited is red or has the network's colour, controls are hollow or dashed. What is not finite is left
out of a figure. Shape legend: S passages, C controls, G gains, K networks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fnet_core.evaluation.generation import Continuation
from fnet_core.interventions.measuring import Damage, Dose, Intervention
from fnet_core.plotting.style import GREY, POSITIVE, finish, rgba

LOG_FROM = 5.0
"""Ratio of largest to smallest perplexity from which on an axis is logarithmic."""
_EDITED, _UNTOUCHED = rgba(POSITIVE, 1.0), rgba(GREY, 1.0)
_CONTROL = _UNTOUCHED


def control_spread(measured: Intervention) -> tuple[float, float, float] | None:
    """Median, lowest and highest perplexity of the controls; None without any."""
    return _spread(measured.control_values)


def control_effect_spread(measured: Intervention) -> tuple[float, float, float] | None:
    """Median, lowest and highest ratio of a control to the untouched model; None without any."""
    return _spread(np.array([effect.value for effect in measured.control_effects]))


def _spread(values_C: np.ndarray) -> tuple[float, float, float] | None:
    if not len(values_C):
        return None
    return float(np.median(values_C)), float(values_C.min()), float(values_C.max())


def passage_table(measured: Intervention) -> pd.DataFrame:
    """One row per passage: passage, untouched, edited, control (the median), ratio; NaN where not measured."""
    untouched_S, edited_S = measured.baseline.document_values(), measured.edited.document_values()
    controls_CS = [control.document_values() for control in measured.controls]
    return pd.DataFrame(
        {
            "passage": measured.baseline.texts,
            "untouched": untouched_S,
            "edited": edited_S,
            "control": np.median(controls_CS, axis=0) if controls_CS else np.full(len(untouched_S), np.nan),
            "ratio": edited_S / untouched_S,
        }
    )


def worst_passage(measured: Intervention) -> int:
    """The passage whose perplexity the edits raise most."""
    ratio_S = passage_table(measured)["ratio"].to_numpy()
    return int(np.argmax(np.nan_to_num(ratio_S, nan=0.0, posinf=np.inf)))


def passages(measured: Intervention) -> go.Figure:
    """Perplexity of each passage untouched, edited and with the median control, first passage on top."""
    table = passage_table(measured).replace(np.inf, np.nan)
    names = table["passage"].tolist()
    figure = go.Figure()
    for name, low, high in zip(names, table["untouched"], table["edited"], strict=True):
        line = {"color": rgba(GREY, 0.45), "width": 2}
        figure.add_scatter(x=[low, high], y=[name, name], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    series = (
        ("untouched", "untouched", {"color": _UNTOUCHED, "size": 10}),
        ("control", "random controls, median", {"color": _CONTROL, "size": 11, "symbol": "circle-open"}),
        ("edited", "edited", {"color": _EDITED, "size": 11, "symbol": "diamond"}),
    )
    for column, name, marker in series:
        figure.add_scatter(
            x=table[column],
            y=names,
            mode="markers",
            name=name,
            marker=marker,
            hovertemplate=f"%{{y}}, {name}<br><b>perplexity %{{x:,.1f}}</b><extra></extra>",
        )
    _scale(figure.update_xaxes, table[["untouched", "edited", "control"]].to_numpy())
    figure.update_yaxes(autorange="reversed", automargin=True)
    finish(figure, "Perplexity of each passage", "perplexity", "", height=150 + 26 * len(names))
    return _legend(figure)


def dose_table(doses: Sequence[Dose]) -> pd.DataFrame:
    """One row per gain: gain, edited, control, control_low, control_high, untouched perplexity."""
    rows = []
    for dose in doses:
        median, low, high = control_spread(dose.measured) or (np.nan,) * 3
        rows.append((dose.gain, dose.measured.edited.value, median, low, high, dose.measured.baseline.value))
    columns = ["gain", "edited", "control", "control_low", "control_high", "untouched"]
    return pd.DataFrame(rows, columns=columns)


def dose_response(doses: Sequence[Dose], name: str, colour: str) -> go.Figure:
    """Perplexity against gain, with the controls' median and range; at gain 1 all are the untouched model."""
    table = dose_table(doses)
    untouched = float(table["untouched"].iloc[0])
    unchanged = pd.DataFrame([dict.fromkeys(table.columns, untouched) | {"gain": 1.0}])
    table = pd.concat([table[table["gain"] != 1.0], unchanged]).sort_values("gain").replace(np.inf, np.nan)
    gains_G = table["gain"]
    figure = go.Figure()
    figure.add_scatter(
        x=[*gains_G, *gains_G[::-1]],
        y=[*table["control_high"], *table["control_low"][::-1]],
        fill="toself",
        fillcolor=rgba(GREY, 0.2),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        name="range of the controls",
    )
    series = (
        ("control", "random controls, median", {"color": _CONTROL, "width": 1.6, "dash": "dash"}),
        ("edited", name, {"color": colour, "width": 2.6}),
    )
    for column, label, line in series:
        figure.add_scatter(
            x=gains_G,
            y=table[column],
            mode="lines+markers",
            name=label,
            line=line,
            hovertemplate=f"{label}, gain %{{x:g}}<br><b>perplexity %{{y:,.1f}}</b><extra></extra>",
        )
    figure.add_hline(y=untouched, line={"color": rgba(GREY, 0.7), "width": 1, "dash": "dot"})
    figure.add_vline(x=1.0, line={"color": rgba(GREY, 0.35), "width": 1})
    _scale(figure.update_yaxes, table[["edited", "control_low", "control_high"]].to_numpy())
    figure.update_xaxes(range=[-0.05, max(2.05, 1.02 * gains_G.max())])
    title = "Dose and response"
    finish(figure, title, "gain (0 inhibits, 1 leaves unchanged, above 1 amplifies)", "perplexity", height=420)
    return _legend(figure)


def ranking_table(ranking: Sequence[Damage]) -> pd.DataFrame:
    """One row per network, most damaging first.

    Columns network, label, key_neurons, inhibited, control, ratio, control_ratio.
    """
    rows = []
    for row in ranking:
        spread, effects = control_spread(row.measured), control_effect_spread(row.measured)
        rows.append(
            (
                row.network,
                row.label,
                row.key_neurons,
                row.measured.edited.value,
                spread[0] if spread else np.nan,
                row.measured.effect.value,
                effects[0] if effects else np.nan,
            )
        )
    columns = ["network", "label", "key_neurons", "inhibited", "control", "ratio", "control_ratio"]
    return pd.DataFrame(rows, columns=columns)


def importance(ranking: Sequence[Damage], colour_of: Callable[[int], str]) -> go.Figure:
    """By how much inhibiting each network multiplies perplexity, most damaging on the left, beside its control."""
    table = ranking_table(ranking).replace(np.inf, np.nan)
    names = [str(network) for network in table["network"]]
    figure = go.Figure()
    for name, ratio, network in zip(names, table["ratio"], table["network"], strict=True):
        line = {"color": colour_of(network), "width": 3}
        figure.add_scatter(x=[name, name], y=[1.0, ratio], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=names,
        y=table["ratio"],
        mode="markers",
        name="network inhibited",
        marker={"color": [colour_of(network) for network in table["network"]], "size": 10},
        customdata=table[["label", "key_neurons"]],
        hovertemplate="network %{x}: %{customdata[0]}<br>%{customdata[1]:,} key neurons<br>"
        "<b>perplexity x %{y:.2f}</b><extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=table["control_ratio"],
        mode="markers",
        name="as many random neurons",
        marker={"color": _UNTOUCHED, "size": 8, "symbol": "circle-open"},
        hovertemplate="control of network %{x}<br><b>perplexity x %{y:.2f}</b><extra></extra>",
    )
    figure.add_hline(y=1.0, line={"color": rgba(GREY, 0.7), "width": 1, "dash": "dot"})
    _scale(figure.update_yaxes, table[["ratio", "control_ratio"]].to_numpy())
    figure.update_xaxes(type="category", nticks=40)
    title = "Importance of networks"
    finish(figure, title, "network, most damaging first", "perplexity, times untouched", height=380)
    return _legend(figure)


def next_token_table(before: Continuation, after: Continuation, count: int = 10) -> pd.DataFrame:
    """The likeliest next tokens of either: token, before, after, difference in probability, largest first.

    A token that one of them does not list has at most its least listed probability and counts as that; of tokens
    with the same text the likeliest is shown.
    """
    listed = [{c.text: c.probability for c in reversed(each.next_tokens)} for each in (before, after)]
    shown = dict.fromkeys(c.text for each in (before, after) for c in each.next_tokens[:count])
    least = [min(each.values(), default=0.0) for each in listed]
    rows = [(text, *(each.get(text, low) for each, low in zip(listed, least, strict=True))) for text in shown]
    table = pd.DataFrame(rows, columns=["token", "before", "after"])
    table["difference"] = table["after"] - table["before"]
    order = table[["before", "after"]].max(axis=1).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _scale(update_axes: Callable[..., object], values: np.ndarray) -> None:
    """A logarithmic axis where the values span much, with plain numbers beside its ticks."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() >= LOG_FROM:
        update_axes(type="log", dtick="D2" if finite.max() / finite.min() < 100 else 1, tickformat=",")


def _legend(figure: go.Figure) -> go.Figure:
    legend = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    return figure.update_layout(showlegend=True, legend=legend, margin={"t": 76})


def visible_token(text: str) -> str:
    """A token with its white space shown: a space at an end as ␣, a line break as ↵."""
    shown = text.replace("\n", "↵").replace("\t", "⇥")
    stripped = shown.strip(" ")
    left = len(shown) - len(shown.lstrip(" "))
    right = len(shown) - left - len(stripped)
    return "␣" * left + stripped + "␣" * right
