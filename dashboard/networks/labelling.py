"""What people say of networks: the search over it, and the panel to label, accept, reject and note, by keys too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import atlases, notices, selection, words
from fnet_core.errors import RequestError
from fnet_core.networks import annotations
from fnet_core.networks.annotations import LONGEST_LABEL, LONGEST_NOTE, Annotation
from fnet_core.networks.atlas import Atlas

_SEARCH, _LABEL, _NOTE, _PROBLEM = "network_search", "person_label", "person_note", "label_problem"
SEARCH_LABEL = "Search labels and notes"
_MARKS = {"accepted": "✓", "rejected": "✗", "": ""}
_keys = st.components.v2.component(
    "fnet_search_key", html="<span hidden></span>", js=(Path(__file__).parent / "search_key.js").read_text()
)


def mark(atlas: Atlas, network: int) -> str:
    """A sign for a verdict, and one for a note."""
    said = atlas.annotations.get(network, Annotation())
    return _MARKS[said.verdict] + ("✎" if said.note else "")


def search(atlas: Atlas, networks: Sequence[int]) -> list[int]:
    """The box that is searched in; those of the networks that it finds, and the selected one."""
    text = st.text_input(
        SEARCH_LABEL,
        key=_SEARCH,
        max_chars=60,
        placeholder=f"{SEARCH_LABEL} (/)",
        label_visibility="collapsed",
        on_change=_searched,
        args=(atlas, list(networks)),
    )
    if not text.strip():
        return list(networks)
    found = [network for network in annotations.sought(atlas, text) if network in networks]
    if not found:
        st.caption(words.plain(f"No network has '{text.strip()}' in its label or a note."))
        return list(networks)
    return sorted({*found, selection.current().network})


def _searched(atlas: Atlas, networks: list[int]) -> None:
    """Go to the first network that is found, unless the selected one is among them."""
    text = st.session_state[_SEARCH]
    found = [network for network in annotations.sought(atlas, text) if network in networks] if text.strip() else []
    if found and selection.current().network not in found:
        selection.choose(network=found[0])


def draw(key: str, atlas: Atlas, network: int) -> None:
    """The panel of the selected network."""
    said = atlas.annotations.get(network, Annotation())
    selection.mirror(_LABEL, said.label)
    selection.mirror(_NOTE, said.note)
    with st.container(border=True, key="labelling"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            st.text_input(
                "Your label",
                key=_LABEL,
                max_chars=LONGEST_LABEL,
                placeholder=atlas.labels[network],
                on_change=_typed,
                args=(key, network, "label", _LABEL),
                help="In place of the automatic one, wherever this atlas is shown, saved or reported. What was "
                "measured of it keeps the automatic one.",
            )
            for verdict, name, letter, icon in (
                ("accepted", "Accept", "a", ":material/check:"),
                ("rejected", "Reject", "x", ":material/close:"),
            ):
                chosen = said.verdict == verdict
                st.button(
                    name,
                    key=f"{verdict}_label",
                    icon=icon,
                    shortcut=letter,
                    type="primary" if chosen else "secondary",
                    help=f"{'Take it back' if chosen else name + ' the label that is shown'} ({letter.upper()})",
                    on_click=_say,
                    args=(key, network),
                    kwargs={"verdict": "" if chosen else verdict},
                )
        st.text_area(
            "Note",
            key=_NOTE,
            max_chars=LONGEST_NOTE,
            height=68,
            on_change=_typed,
            args=(key, network, "note", _NOTE),
        )
        st.caption(_told(atlas, network, said))
        _keys(key="search_key", data={"label": SEARCH_LABEL})
    if sentence := st.session_state.pop(_PROBLEM, None):
        notices.error(sentence)


def _told(atlas: Atlas, network: int, said: Annotation) -> str:
    automatic = f"Automatic: {words.plain(atlas.labels[network])}. " if said.label else ""
    kept = "Kept on this machine, and in the atlas, bundle and report you save. " if said else ""
    return f"{automatic}{kept}Keys: P and N step, A accepts, X rejects, / searches."


def _typed(key: str, network: int, part: str, widget: str) -> None:
    _say(key, network, **{part: st.session_state[widget]})


def _say(key: str, network: int, **parts: Any) -> None:
    try:
        annotations.changed(atlases.load(key), network, key=atlases.kept_under(key), **parts)
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)
