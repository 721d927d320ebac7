"""The one selection that all pages share: model, atlas, network, threshold, compared models, the job being watched.

It lives in the session and stands in the URL. On arrival the URL fills the session; after that the session
leads and the URL follows, unless the address itself was changed (back button, edited link). A browser that is asked
faster than it hears says an address that was replaced a moment ago: that is late, not changed.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import streamlit as st

from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.errors import RequestError

LOWEST, HIGHEST = 1.0, 8.0
"""The thresholds that the slider offers, in standard deviations of a map."""

LATE_SECONDS = 5.0
"""So long after it was replaced an address is taken for late. Somebody who goes back sooner stays where they are."""

_STATE, _PAGE, _WRITTEN = "selection", "selection_page", "selection_url"
_REPLACED = "selection_replaced"


@dataclass(frozen=True)
class Selection:
    """What is being looked at; `atlas` is an atlas's key in the store, `job` the id of a job."""

    model: str | None = None
    atlas: str | None = None
    network: int = 0
    threshold: float = DEFAULT_THRESHOLD
    view: str | None = None
    """The open tab of the Networks page; None is the first."""
    passage: int | None = None
    """The passage that its text shows; None is the one where the network works most."""
    linked: float | None = None
    """abs(r) from which on the graph of networks has a link; None for one that gives a readable graph."""
    beside: int | None = None
    """The network that is held against the selected one."""
    job: str | None = None
    a: str | None = None
    """One side of a comparison, see `fingerprints.parse`; `b` is the other."""
    b: str | None = None
    compared: str | None = None
    """The two fingerprints whose comparison is shown, see `fingerprints.pair`."""
    pair: int = 0
    """The matched pair of networks that is looked at, 0 for the strongest."""
    audit: str | None = None
    """The audit that is shown, see `audit.kept`."""
    edit: str | None = None
    """What the Intervene page asks for, see `intervene.address`."""
    pinned: str | None = None
    """The edits that its results stand beside, written alike."""
    prune: str | None = None
    """What the Prune page asks for, see `prune.state`."""
    edits: str | None = None
    """Edits of the library that the Intervene page opens, by their key; `plan` likewise for the Prune page."""
    plan: str | None = None


def start(page: str) -> None:
    """Bring session and URL together, once at the top of every page run; wrong URL values raise later."""
    in_url = {name: st.query_params[name] for name in _NAMES if name in st.query_params}
    moved = st.session_state.get(_PAGE, page) != page
    known = _STATE in st.session_state
    if not known or (in_url and not moved and in_url != st.session_state.get(_WRITTEN) and not _late(in_url)):
        st.session_state[_STATE] = _parse(in_url)
    st.session_state[_PAGE] = page
    _write_url()


def current() -> Selection:
    """The selection of this session."""
    return st.session_state[_STATE]


def choose(**changes: Any) -> None:
    """Change parts of the selection, in the session and in the URL."""
    st.session_state[_STATE] = replace(current(), **changes)
    _write_url()


def mirror(key: str, value: object) -> None:
    """Make the widget of this key show `value`; left alone when it does, or a moving slider would jump back."""
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def problem() -> str | None:
    """The sentence about a value in the address that means nothing, told once."""
    return st.session_state.pop(_PROBLEM, None)


def parameters() -> dict[str, str]:
    """The selection as URL parameters, without what is at its default."""
    return {
        name: str(value) for name, value in asdict(current()).items() if value is not None and value != _DEFAULTS[name]
    }


def _late(in_url: dict[str, str]) -> bool:
    now = time.monotonic()
    return any(
        address == in_url and now - replaced < LATE_SECONDS for address, replaced in st.session_state.get(_REPLACED, ())
    )


def _write_url() -> None:
    wanted, before, now = parameters(), st.session_state.get(_WRITTEN), time.monotonic()
    if before is not None and before != wanted:
        recent = [each for each in st.session_state.get(_REPLACED, ()) if now - each[1] < LATE_SECONDS]
        st.session_state[_REPLACED] = [*recent, (before, now)]
    st.session_state[_WRITTEN] = wanted
    if wanted != {name: st.query_params[name] for name in _NAMES if name in st.query_params}:
        st.query_params.from_dict(wanted)


def _parse(in_url: dict[str, str]) -> Selection:
    """The selection that URL values mean; what means nothing keeps its default and leaves a sentence."""
    wanted: dict[str, Any] = {name: in_url[name] for name in _TEXTS if in_url.get(name)}
    readers: tuple[tuple[str, Callable[[str], float]], ...] = (
        ("network", _network),
        ("pair", _pair),
        ("threshold", _threshold),
        ("passage", _passage),
        ("beside", _network),
        ("linked", _linked),
    )
    for name, read in readers:
        if name in in_url:
            try:
                wanted[name] = read(in_url[name])
            except RequestError as error:
                st.session_state[_PROBLEM] = str(error)
    return Selection(**wanted)


def _network(text: str) -> int:
    return _whole(text, "network")


def _pair(text: str) -> int:
    return _whole(text, "pair")


def _passage(text: str) -> int:
    return _whole(text, "passage")


def _whole(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestError(f"The address asks for {what} '{text[:40]}'; a {what} is a whole number from 0.")
    return int(text)


def _threshold(text: str) -> float:
    return round(_number(text, "threshold", LOWEST, HIGHEST), 1)


def _linked(text: str) -> float:
    return round(_number(text, "links from a correlation of", 0.0, 0.95), 2)


def _number(text: str, what: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise RequestError(f"The address asks for {what} '{text[:40]}'; choose a number from {low:g} to {high:g}.")
    return value


_PROBLEM = "selection_problem"
_NAMES = [field.name for field in fields(Selection)]
_TEXTS = ("model", "atlas", "view", "job", "a", "b", "compared", "audit", "edit", "pinned", "prune", "edits", "plan")
_DEFAULTS = asdict(Selection())
