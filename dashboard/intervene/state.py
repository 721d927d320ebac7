"""The edits on the Intervene page: a gain per network, or edits loaded from a file, and the request they make.

They stand in the address (`address.py`), so that a link shows what it showed, on a server that was started anew too.
"""

import math
from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard import atlases, model_access, selection
from dashboard.intervene import address
from dashboard.intervene.address import ALL, Asked
from dashboard.intervene.jobs import EditRequest, Gains
from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.edits import Edit, edit_networks, edits_text, parse_edits
from fnet_core.interventions.known import known_intervention
from fnet_core.interventions.measuring import Intervention
from fnet_core.networks.atlas import Atlas
from fnet_core.storage import library
from fnet_core.storage.contents import text_of

__all__ = ["ALL"]

SLIDER_TOP = 2.0
BUNDLED, PASTE = "Bundled passages", "Pasted text"
_ATLAS, _GAINS, _LOADED, _DEFAULT = "intervene_atlas", "intervene_gains", "intervene_loaded", "intervene_default"
_OPENED = "intervene_opened"
_READ, _KNOWN = "intervene_read", "intervene_known"
_SETTINGS = {
    "intervene_controls": Asked.controls,
    "intervene_seed": Asked.seed,
    "intervene_definition": Asked.definition,
    "intervene_window": Asked.window,
    "intervene_source": BUNDLED,
    "intervene_passages": Asked.passages,
    "intervene_pasted": "",
}


def start(key: str, atlas: Atlas) -> None:
    """Fill the session for this atlas: with what the address asks for, or with the selected network inhibited.

    Edits of the library that the address names take the place of the rows. `RequestError` for what it asks for and does
    not exist; the rest is there then.
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
    state, written = st.session_state, selection.current().edit
    for name, value in _SETTINGS.items():
        state.setdefault(name, value)
    other = state.get(_ATLAS) != key
    if other:
        state[_ATLAS], state[_GAINS], state[_DEFAULT] = key, {}, None
        state.pop(_LOADED, None)
    follows = other or state[_GAINS] == {state[_DEFAULT]: 0.0}
    if _READ not in state or state[_READ] != written:
        state[_READ] = written
        try:
            follows = _restore(address.parsed(written or ""), atlas)
        except RequestError:
            _follow(atlas)
            raise
    if follows:
        _follow(atlas)


def _follow(atlas: Atlas) -> None:
    """Inhibit the selected network, for as long as nothing else is asked for."""
    network, state = selection.current().network, st.session_state
    try:
        atlas.layers_of(network)
    except RequestError:
        network = 0
        selection.choose(network=0)
        raise
    finally:
        state[_GAINS], state[_DEFAULT] = {network: 0.0}, network


def _restore(asked: Asked, atlas: Atlas) -> bool:
    """Put what an address asks for in the session, all else at its default; whether it leaves the edit open.

    RequestError for a network, a text or a file that is not there.
    """
    state = st.session_state
    state.update(_SETTINGS)
    state.pop(_LOADED, None)
    state.pop(_OPENED, None)
    gains = dict(asked.gains or ())
    if missing := [network for network in gains if not isinstance(network, str) and network >= len(atlas)]:
        raise RequestError(f"There is no network {missing[0]}; this atlas has 0 to {len(atlas) - 1}.")
    for name in ("controls", "seed", "definition", "window", "passages"):
        state[f"intervene_{name}"] = getattr(asked, name)
    if asked.text is not None:
        state["intervene_pasted"], state["intervene_source"] = address.kept(asked.text), PASTE
    if asked.edits is not None:
        state[_LOADED] = parse_edits(address.kept(asked.edits))
    state[_GAINS], state[_DEFAULT] = gains, None
    return asked.gains is None


def write() -> None:
    """Put what the controls say in the address."""
    text = asked().written()
    if text != selection.current().edit:
        selection.choose(edit=text)
    st.session_state[_READ] = text


def asked() -> Asked:
    """What the controls say, as the address has it."""
    state, found = st.session_state, loaded()
    default = state[_DEFAULT] is not None and state[_GAINS] == {state[_DEFAULT]: 0.0}
    return Asked(
        None if default or found else tuple(state[_GAINS].items()),
        state["intervene_controls"],
        state["intervene_seed"],
        state["intervene_definition"],
        state["intervene_window"],
        state["intervene_passages"],
        address.digest(state["intervene_pasted"]) if _own_text() else None,
        address.digest(edits_text(*found)) if found and not selection.current().edits else None,
    )


def _own_text() -> bool:
    return st.session_state["intervene_source"] == PASTE and bool(st.session_state["intervene_pasted"].strip())


def keep() -> None:
    """Keep what the address names by its digest alone, once it is measured."""
    if _own_text():
        address.keep(st.session_state["intervene_pasted"])
    if found := loaded():
        address.keep(edits_text(*found))


def pin() -> None:
    """Pin what the controls ask for: it is shown beside what is measured next."""
    keep()
    own, found = asked(), loaded()
    gains = None if found else tuple(st.session_state[_GAINS].items())
    edits = address.digest(edits_text(*found)) if found else None
    threshold = selection.current().threshold
    selection.choose(pinned=replace(own, gains=gains, edits=edits, threshold=threshold).written())


def pinned(key: str, atlas: Atlas) -> EditRequest | None:
    """What is pinned, as a request; None where nothing is; RequestError for what means nothing here."""
    written = selection.current().pinned
    if written is None:
        return None
    own = address.parsed(written)
    threshold = selection.current().threshold if own.threshold is None else own.threshold
    gains, recipe = dict(own.gains or ()), atlas.recipe
    if own.edits is not None:
        found, recipe = parse_edits(address.kept(own.edits))
    else:
        rows = [edit_of(atlas, network, threshold, gain) for network, gain in gains.items()]
        found = tuple(edit for edit in rows if edit.gain != 1.0)
    measured = texts.bundled("score")[: own.passages]
    if own.text is not None:
        measured = texts.from_text(address.kept(own.text))
    yardstick = Yardstick(measured, own.definition, own.window)
    model = selection.current().model or atlas.model_name
    return EditRequest(model, key, gains, found, recipe, threshold, yardstick, own.controls, own.seed)


def known(atlas: Atlas, request: EditRequest) -> Intervention | None:
    """What the store has of a request, remembered while the page asks the same; None unless it has all of it."""
    if request.model != atlas.model_name or request.recipe.get("model_digest") != atlas.recipe.get("model_digest"):
        return None
    remembered: dict[str, Any] = st.session_state.setdefault(_KNOWN, {})
    if request.key() not in remembered:
        found = known_intervention(
            atlas, request.edits, request.yardstick, request.controls, request.seed, roots=model_access.roots()
        )
        if found is None:
            return None
        while len(remembered) > 3:
            remembered.pop(next(iter(remembered)))
        remembered[request.key()] = found
    return remembered[request.key()]


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


def edit_of(atlas: Atlas, network: int | str, threshold: float, gain: float) -> Edit:
    """The edit of one row; `RequestError` for a gain that is none and a network without key neurons."""
    chosen = range(len(atlas)) if isinstance(network, str) else [network]
    return edit_networks(atlas, chosen, threshold, gain=gain)


def edits(atlas: Atlas, threshold: float) -> tuple[Edit, ...]:
    """The edits that change something; `RequestError` if a row is wrong."""
    if found := loaded():
        return found[0]
    rows = [edit_of(atlas, network, threshold, gain) for network, gain in gains().items()]
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
