"""The matched networks of two models: a table, the picked pair's signals over a passage, and the matrix."""

from functools import partial

import numpy as np
import streamlit as st

from dashboard import charts, coloured_text, fingerprints, selection, stepper, words
from fnet_core.lineage.comparison import Comparison
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.plotting import lineage as figures

_TABLE, _PASSAGE = "compare_table", "compare_passage"


def _columns(found: Comparison) -> dict:
    a, b = found.a.model.name, found.b.model.name
    neurons = "Neurons whose weight in the network lies beyond the threshold: their activity is its signal."
    label = "The words at which the network is most active in this model, strongest first."
    return {
        "value": st.column_config.ProgressColumn(
            "Similarity",
            format="%.2f",
            min_value=0,
            max_value=1,
            width=110,
            help="abs(partial Spearman): the rank correlation of the two networks' signals along the text beyond what "
            "its surface explains, whatever its sign, averaged over the passages.",
        ),
        "network_a": st.column_config.NumberColumn("# A", width=48, help=f"The network's number in {a}."),
        "label_a": st.column_config.TextColumn(f"A: {a}", width="medium", help=label),
        "key_neurons_a": st.column_config.NumberColumn("Key neurons A", format="localized", width=96, help=neurons),
        "network_b": st.column_config.NumberColumn("# B", width=48, help=f"The network's number in {b}."),
        "label_b": st.column_config.TextColumn(f"B: {b}", width="medium", help=label),
        "key_neurons_b": st.column_config.NumberColumn("Key neurons B", format="localized", width=96, help=neurons),
    }


@st.fragment
def matched(found: Comparison) -> None:
    """The table of matched pairs and the signals of the one that is picked."""
    pairs = len(found.values_M)
    if selection.current().pair >= pairs:
        selection.choose(pair=0)
    selection.mirror(_TABLE, {"selection": {"rows": [selection.current().pair], "columns": [], "cells": []}})
    columns = _columns(found)
    st.dataframe(
        found.table()[list(columns)],
        key=_TABLE,
        hide_index=True,
        height=min(300, 35 * pairs + 38),
        column_config=columns,
        on_select=_selected,
        selection_mode=["single-row-required", "single-cell"],
        alt="Matched networks of both models with labels, similarity and key neurons",
    )
    st.caption(
        f"{words.count(pairs, 'pair')}, one to one, matched so that the sum of similarities is the largest possible. "
        "Click one to see its signals; sort by a column's head."
    )
    pair, passage = _pickers(found)
    charts.draw(
        figures.matched_signals(found, pair, passage),
        "compare_signals_figure",
        figures.SIGNALS_NOTE,
    )
    _text(found, pair, passage)


def _selected() -> None:
    picked = st.session_state[_TABLE]["selection"]
    rows = [row for row, _ in picked["cells"]] or picked["rows"]
    if rows:
        selection.choose(pair=rows[0])


def _pickers(found: Comparison) -> tuple[int, int]:
    """Previous, a list of pairs, next, and the passage."""
    at, last = selection.current().pair, len(found.values_M) - 1
    *steps, where = st.columns([0.6, 5, 0.6, 4], gap="xsmall", vertical_alignment="bottom")
    stepper.step(
        steps,
        "pair",
        range(last + 1),
        at,
        lambda pair: selection.choose(pair=pair),
        line=lambda pair: _pair(found, pair),
        helps=("Stronger pair", "Weaker pair"),
        label=True,
    )
    names = [passage.name for passage in found.a.passages]
    if st.session_state.get(_PASSAGE) not in range(len(names)):
        st.session_state[_PASSAGE] = 0
    passage = where.selectbox(
        "Passage",
        range(len(names)),
        key=_PASSAGE,
        format_func=lambda i: f"{names[i]} · {_agreement(found, at, i)}",
        persist_state="session",
    )
    return at, passage


def _pair(found: Comparison, pair: int) -> str:
    k, j = found.matched_M2[pair]
    return f"{found.values_M[pair]:.2f} · A{k} {found.a.labels[k]} | B{j} {found.b.labels[j]}"


def _agreement(found: Comparison, pair: int, passage: int) -> str:
    value = found.passage_values_MP[pair, passage]
    return "silent in one" if np.isnan(value) else f"{value:.2f}"


def _text(found: Comparison, pair: int, passage: int) -> None:
    """The passage twice, coloured by the one signal and by the other."""
    positions_G, x_G, y_G, turned = figures.pair_series(found, pair, passage)
    text = found.a.passages[passage].text
    ends_G = np.append(positions_G[1:], len(text))
    offsets_G2 = np.stack([positions_G, ends_G], axis=1)
    st.html(coloured_text.course_legend())
    st.caption("The same signals on the text: red where a network is active, blue where it is below its mean.")
    if found.a.is_secret:
        st.caption(":material/lock: The passages are secret: the files hold their lengths and none of their words.")
    sides = (("A", found.a, x_G, ""), ("B", found.b, y_G, ", turned over" if turned else ""))
    columns = st.columns(2, gap="medium")
    for column, network, (letter, side, values_G, over) in zip(columns, found.matched_M2[pair], sides, strict=True):
        with column, st.container(border=True, key=f"compare_text_{letter.lower()}"):
            st.caption(f"{letter} · {words.plain(side.model.name)}, network {network}{over}")
            st.html(coloured_text.painted(text, offsets_G2, partial(_paint, positions_G.tolist(), values_G.tolist())))
            _open(letter, side, int(network))


def _open(letter: str, side: Fingerprint, network: int) -> None:
    """To the network's map, where the atlas that the fingerprint was taken from is on this machine."""
    saved = fingerprints.atlas_of(side)
    if saved and st.button(
        f"Map of network {network} of {words.plain(side.model.name)}",
        key=f"compare_open_{letter.lower()}",
        icon=":material/open_in_new:",
        type="tertiary",
    ):
        threshold = min(max(side.protocol["threshold"], selection.LOWEST), selection.HIGHEST)
        atlas, model = saved
        selection.choose(model=model, atlas=atlas, network=network, threshold=threshold)
        st.switch_page("pages/networks.py")


def _paint(positions: list[int], values: list[float], at: int, piece: str) -> str:
    shade = coloured_text.shade(values[at], coloured_text.STRONGEST_SD)
    return coloured_text.span(piece, f"character {positions[at]}: {values[at]:+.1f} SD", shade)


def matrix(found: Comparison) -> None:
    """All pairs of networks, sorted by the matching."""
    charts.draw(
        figures.matrix(found),
        "compare_matrix_figure",
        figures.MATRIX_NOTE,
    )
    best = ", ".join(f"A{k} with B{j} {value:.2f}" for k, j, value in found.strongest(5))
    st.caption(f"The strongest of all pairs, matched or not: {best}.")
