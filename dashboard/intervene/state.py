"""The edits on the Intervene page: a gain per network, or edits loaded from a file, and the request they make."""

import math

import streamlit as st

from dashboard import atlases, selection
from dashboard.intervene.jobs import EditRequest, Gains, requested
from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.edits import Edit, edit_networks, parse_edits
from fnet_core.networks.atlas import Atlas
from fnet_core.storage import library
from fnet_core.storage.contents import text_of

ALL = "all"
"""The row that stands for every network at once."""
SLIDER_TOP = 2.0
BUNDLED, PASTE = "Bundled passages", "Pasted text"
_ATLAS, _GAINS, _LOADED, _DEFAULT = "intervene_atlas", "intervene_gains", "intervene_loaded", "intervene_default"
_OPENED = "intervene_opened"
_SETTINGS = {
    "intervene_controls": 5,
    "intervene_seed": 0,
    "intervene_definition": "token",
    "intervene_window": None,
    "intervene_source": BUNDLED,
    "intervene_passages": 8,
    "intervene_pasted": "",
}


def start(key: str, atlas: Atlas) -> None:
    """Fill the session for this atlas: from the job in the address, or with the selected network inhibited.

    Edits of the library that the address names take the place of the rows; `RequestError` where they are gone.
    """
    state = st.session_state
    if state.get(_ATLAS, key) != key and state.get(_OPENED) == selection.current().edits:
        _forget_opened()
    try:
        _fill(key, atlas)
    finally:
        _open(selection.current().edits)


def _open(key: str | None) -> None:
    if key is None or st.session_state.get(_OPENED) == key:
        return
    st.session_state[_OPENED] = key
    st.session_state[_LOADED] = parse_edits(text_of(library.entry_of("edits", key)))


def _forget_opened() -> None:
    st.session_state.pop(_OPENED, None)
    if selection.current().edits:
        selection.choose(edits=None)


def _fill(key: str, atlas: Atlas) -> None:
    state = st.session_state
    for name, value in _SETTINGS.items():
        state.setdefault(name, value)
    if state.get(_ATLAS) != key:
        state[_ATLAS], state[_GAINS], state[_DEFAULT] = key, {}, None
        state.pop(_LOADED, None)
        if request := requested(key):
            _restore(request)
            return
    elif state[_GAINS] != {state[_DEFAULT]: 0.0}:
        return
    network = selection.current().network
    try:
        atlas.layers_of(network)
    except RequestError:
        network = 0
        selection.choose(network=0)
        raise
    finally:
        state[_GAINS], state[_DEFAULT] = {network: 0.0}, network


def _restore(request: EditRequest) -> None:
    state = st.session_state
    state[_GAINS] = dict(request.gains)
    state["intervene_controls"], state["intervene_seed"] = request.controls, request.seed
    state["intervene_definition"] = request.yardstick.definition
    state["intervene_window"] = request.yardstick.window
    passages = request.yardstick.passages
    if passages == texts.bundled("score")[: len(passages)]:
        state["intervene_passages"] = len(passages)
    else:
        state["intervene_source"] = PASTE
        state["intervene_pasted"] = "\n\n".join(passage.text for passage in passages)
    if not request.gains:
        state[_LOADED] = (request.edits, request.recipe)


def gains() -> Gains:
    """Gain by network, in the order of the rows; the key "all" stands for every network."""
    return st.session_state[_GAINS]


def set_gain(network: int | str, gain: float) -> None:
    """Put a row's gain, adding the row if it is new."""
    st.session_state[_GAINS][network] = gain


def remove(network: int | str) -> None:
    """Take a row away; the default does not come back by itself."""
    del st.session_state[_GAINS][network]
    st.session_state[_DEFAULT] = None


def replace_all(new: Gains) -> None:
    """Other rows in place of these, and no edits from a file."""
    st.session_state[_GAINS] = dict(new)
    unload()


def reset() -> None:
    """Every gain back to unchanged."""
    replace_all(dict.fromkeys(gains(), 1.0))


def loaded() -> tuple[tuple[Edit, ...], dict] | None:
    """Edits and recipe from a file, while they stand in place of the rows."""
    return st.session_state.get(_LOADED)


def load(text: str) -> None:
    """Take edits from a saved file's text; `RequestError` if it is not one."""
    found = parse_edits(text)
    unload()
    st.session_state[_LOADED] = found


def unload() -> None:
    """Go back to the rows."""
    st.session_state.pop(_LOADED, None)
    _forget_opened()


def on_slider(gain: float) -> float:
    """Where the slider stands for a gain: at its end for a larger one, in the middle for what is no number."""
    return 1.0 if math.isnan(gain) else min(max(gain, 0.0), SLIDER_TOP)


def edit_of(atlas: Atlas, network: int | str, threshold: float) -> Edit:
    """The edit of one row; `RequestError` for a gain that is none and a network without key neurons."""
    chosen = range(len(atlas)) if isinstance(network, str) else [network]
    return edit_networks(atlas, chosen, threshold, gain=gains()[network])


def edits(atlas: Atlas, threshold: float) -> tuple[Edit, ...]:
    """The edits that change something; `RequestError` if a row is wrong."""
    if found := loaded():
        return found[0]
    rows = [edit_of(atlas, network, threshold) for network in gains()]
    return tuple(edit for edit in rows if edit.gain != 1.0)


def request(key: str, own: tuple[Edit, ...] | None = None, controls: int | None = None) -> EditRequest:
    """What the controls ask for, or `own` edits of the atlas in their place; `RequestError` if something is wrong."""
    atlas, chosen, state = atlases.load(key), selection.current(), st.session_state
    found = own if own is not None else edits(atlas, chosen.threshold)
    if not found:
        raise RequestError("There is no edit to measure; choose a network and a gain other than 1.")
    from_file = loaded() if own is None else None
    return EditRequest(
        model=chosen.model or atlas.model_name,
        atlas=key,
        gains={} if from_file else dict(gains()),
        edits=found,
        recipe=from_file[1] if from_file else atlas.recipe,
        threshold=chosen.threshold,
        yardstick=yardstick(),
        controls=state["intervene_controls"] if controls is None else controls,
        seed=state["intervene_seed"],
    )


def yardstick() -> Yardstick:
    """The texts and the definition that the controls name; `RequestError` for an empty text."""
    state = st.session_state
    if state["intervene_source"] == PASTE:
        passages = texts.from_text(state["intervene_pasted"])
    else:
        passages = texts.bundled("score")[: state["intervene_passages"]]
    return Yardstick(passages, state["intervene_definition"], state["intervene_window"])
