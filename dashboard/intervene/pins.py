"""One measured edit pinned, so that the next one stands beside it."""

from collections.abc import Callable

import streamlit as st

from dashboard import notices, selection, words
from dashboard.intervene import state
from dashboard.intervene.jobs import EditRequest
from dashboard.jobs import Outcome
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas


def draw(key: str, atlas: Atlas, found: Outcome | None, show: Callable[[Outcome], None]) -> None:
    """The pinned edit with its numbers below those of the page's, and the buttons that pin and unpin."""
    try:
        request = state.pinned(key, atlas)
    except RequestError as error:
        notices.error(str(error))
        request = None
        selection.choose(pinned=None)
    same = bool(request and found and request.key() == found.request.key())
    if found and not same:
        st.button(
            "Pin this result" if request is None else "Pin this one instead",
            key="pin_edit",
            icon=":material/push_pin:",
            type="tertiary",
            on_click=state.pin,
            help="It stays here, and what you measure next stands above it. The link keeps both.",
        )
    if request is None:
        return
    with st.container(border=True, key="pinned_edit"):
        name, button = st.columns([5, 1], vertical_alignment="center")
        name.markdown(f":material/push_pin: **Pinned:** {words.plain(told(request))}")
        button.button(
            "Unpin",
            key="unpin_edit",
            type="tertiary",
            icon=":material/keep_off:",
            on_click=lambda: selection.choose(pinned=None),
        )
        if same:
            st.caption("These are its numbers. Change the sliders: what you measure next stands above it.")
        elif kept := state.known(atlas, request):
            show(Outcome(request, kept))
        else:
            st.caption("It is not measured on this machine; set the sliders alike and press Run.")


def told(request: EditRequest) -> str:
    """An edit in one line."""
    if not request.gains:
        rows = [f"{edit.name or 'edit'} x{edit.gain:g}" for edit in request.edits]
    else:
        rows = [
            f"{'all networks' if isinstance(network, str) else f'network {network}'} x{gain:g}"
            for network, gain in request.gains.items()
        ]
    return f"{', '.join(rows)}, |z| > {request.threshold:.1f}"
