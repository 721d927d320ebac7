"""Two networks side by side: one is pinned, the other is the selected one."""

import math

import streamlit as st

from dashboard import charts, selection, words
from dashboard.networks import heading
from dashboard.networks.contexts import ends
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.contexts import contexts
from fnet_core.networks.resemblance import resemblance
from fnet_core.plotting import beside as figures

_PICKER = "beside_picker"
PLACES = 8
_BEFORE = 150
"""Pixels of the column of what stands before a word."""


def draw(atlas: Atlas, network: int, threshold: float) -> None:
    """The pinned network to the left, the selected one to the right, and what they have in common."""
    pinned = selection.current().beside
    if pinned is not None and pinned >= len(atlas):
        pinned = None
    _choose(atlas, network, pinned)
    if pinned is None or pinned == network:
        st.caption(
            "Pin a network, then select another: they stand side by side here, and the link keeps both."
            if pinned is None
            else "The selected network is the pinned one; select another in the table or the scan."
        )
        return
    found = resemblance(atlas, pinned, network, threshold)
    own = atlas.table(threshold)
    st.markdown(
        f"**{words.count(found.shared, 'key neuron')} in common** (IoU {found.overlap:.2f}); "
        f"{_correlate('maps', found.maps, 'they have no layer in common')}, "
        f"{_correlate('time courses', found.courses, 'one of them is silent in every passage')}."
    )
    columns = st.container(key="pair_networks").columns(2, gap="medium")
    for column, shown, name in zip(columns, (pinned, network), ("Pinned", "Selected"), strict=True):
        row = own.iloc[shown]
        with column:
            st.html(heading.of(atlas, shown))
            st.caption(
                f"{name} · {row['key_neurons']:,} key neurons in {words.count(int(row['layers']), 'layer')} · "
                f"{100 * row['variance']:.2f} % of the variance · stability {row['stability']:.2f}"
            )
            places = contexts(atlas, shown, PLACES)[["activity", "before", "word", "after"]]
            st.dataframe(
                places.assign(before=ends(places["before"], _BEFORE)),
                key=f"beside_places_{name.lower()}",
                hide_index=True,
                column_config={
                    "activity": st.column_config.NumberColumn("Activity", format="%.1f SD", width=70),
                    "before": st.column_config.TextColumn("Before", width=_BEFORE, alignment="right"),
                    "word": st.column_config.TextColumn("Word", width=80),
                    "after": st.column_config.TextColumn("After", width=150),
                },
                alt=f"Strongest places of network {shown} in the text",
            )
    depth, course = st.container(key="pair_beside").columns(2, gap="medium")
    with depth:
        charts.draw(figures.layer_profiles(atlas, pinned, network, threshold), "beside_layers")
    with course:
        passage = int((atlas.recurrence_SK[:, pinned] * atlas.recurrence_SK[:, network]).argmax())
        charts.draw(
            figures.courses(atlas, pinned, network, passage),
            "beside_courses",
            f"The passage in which both explain most: {words.plain(atlas.passages[passage].name)}.",
        )


def _choose(atlas: Atlas, network: int, pinned: int | None) -> None:
    selection.mirror(_PICKER, pinned)
    picker, button = st.columns([5, 2], vertical_alignment="bottom")
    picker.selectbox(
        "Pinned network",
        range(len(atlas)),
        index=None,
        key=_PICKER,
        placeholder="Choose a network to hold beside the selected one",
        format_func=lambda other: f"{other} · {atlas.named[other]}",
        on_change=lambda: selection.choose(beside=st.session_state[_PICKER]),
    )
    button.button(
        f"Pin network {network}",
        key="pin_network",
        icon=":material/push_pin:",
        width="stretch",
        disabled=pinned == network,
        on_click=lambda: selection.choose(beside=network),
    )


def _correlate(what: str, value: float, why_not: str) -> str:
    return why_not if math.isnan(value) else f"their {what} correlate at r = {value:.2f}"
