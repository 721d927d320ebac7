"""How models are fingerprinted for a comparison: site, networks, threshold, texts, and the request they make."""

from collections.abc import Sequence

import streamlit as st

from dashboard import words
from fnet_core import texts
from fnet_core.choices import FINGERPRINT_COMPONENTS, FINGERPRINT_SITE, FINGERPRINT_THRESHOLD, SITES, Site, site_title
from fnet_core.errors import RequestError
from fnet_core.lineage import probes
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.texts import Passage

BUNDLED, OWN, SECRET = "Bundled passages", "Own texts", "Secret probes"
_SITE, _COMPONENTS, _THRESHOLD, _SOURCE = "compare_site", "compare_components", "compare_threshold", "compare_source"
_SEED = "compare_seed"
_DEFAULTS = {
    _SITE: FINGERPRINT_SITE,
    _COMPONENTS: FINGERPRINT_COMPONENTS,
    _THRESHOLD: FINGERPRINT_THRESHOLD,
    _SOURCE: BUNDLED,
}
_FILES = {"find": "Text to find networks on", "score": "Text to score on"}


def start(protocol: dict | None, sites: Sequence[Site]) -> None:
    """Fill the session once: with what the shown comparison was made with, or with the defaults.

    A site that is not one of `sites`, those that both models have, gives way to the default.
    """
    names = {_SITE: "site", _COMPONENTS: "components", _THRESHOLD: "threshold"}
    asked = {} if protocol is None else {key: protocol[name] for key, name in names.items()}
    for key, value in _DEFAULTS.items():
        st.session_state.setdefault(key, asked.get(key, value))
    if st.session_state[_SITE] not in sites:
        st.session_state[_SITE] = FINGERPRINT_SITE


def draw(sites: Sequence[Site]) -> None:
    """The widgets, for a popover; `sites` are those that both models have."""
    st.selectbox(
        "Site",
        sites,
        format_func=site_title,
        key=_SITE,
        persist_state="session",
        help="Which activations the networks are found in.\n\n" + "\n".join(f"- {SITES[name]}" for name in sites),
    )
    st.number_input(
        "Networks",
        1,
        512,
        key=_COMPONENTS,
        persist_state="session",
        help="How many networks to separate in each model (ICA components).",
    )
    st.number_input(
        "Threshold |z|",
        0.0,
        20.0,
        step=0.1,
        format="%.1f",
        key=_THRESHOLD,
        persist_state="session",
        help="Neurons beyond this many standard deviations of a network's map are its key neurons, whose activity is "
        "the network's signal.",
    )
    st.selectbox(
        "Text",
        [BUNDLED, OWN, SECRET],
        key=_SOURCE,
        persist_state="session",
        help="What both models read.\n\n- Own texts help when the models read another language than English.\n- Secret "
        "probes are passages drawn by a seed from a text that you keep: nobody can train a model against them, and "
        "fingerprints made with them hold none of their words.",
    )
    if st.session_state[_SOURCE] == OWN:
        for split, label in _FILES.items():
            st.file_uploader(f"{label} (UTF-8)", type=["txt", "md", "text"], key=f"compare_text_{split}")
    if st.session_state[_SOURCE] == SECRET:
        st.file_uploader("The text that you keep (UTF-8)", type=["txt", "md", "text"], key="compare_text_secret")
        st.text_input(
            "Seed",
            key=_SEED,
            type="password",
            persist_state="session",
            help="Words that nobody guesses. The same text and seed give the same passages again, here and on the "
            "command line (fnet fingerprint MODEL --text FILE --probes SEED).",
        )
    st.caption(
        "The reference pairs were measured with the defaults: after any change here the score is shown, and the "
        "verdict stays inconclusive."
    )


def request() -> FingerprintRequest:
    """What the settings ask for, of no model yet; `RequestError` when a text is missing or a number out of range."""
    state = st.session_state
    find, score = [_text(split) for split in _FILES] if state[_SOURCE] == OWN else [(), ()]
    drawn = _drawn() if state[_SOURCE] == SECRET else None
    return FingerprintRequest(
        model="",
        find=drawn.find if drawn else find,
        score=drawn.score if drawn else score,
        secret=drawn.secret if drawn else None,
        site=state[_SITE],
        components=int(state[_COMPONENTS]),
        threshold=float(state[_THRESHOLD]),
    )


def _drawn() -> probes.Drawn:
    """The secret probes; `RequestError` when text or seed is missing."""
    upload = st.session_state.get("compare_text_secret")
    if upload is None:
        raise RequestError("There is no text to draw secret probes from yet; upload it under 'More'.")
    (whole,) = texts.whole_bytes(upload.getvalue(), words.file_name(upload.name))
    return probes.draw(whole.text, st.session_state.get(_SEED) or "")


def _text(split: str) -> tuple[Passage, ...]:
    upload = st.session_state.get(f"compare_text_{split}")
    if upload is None:
        raise RequestError(f"There is no '{_FILES[split]}' yet; upload both text files, or use the bundled passages.")
    return texts.from_bytes(upload.getvalue(), words.file_name(upload.name))


def sentence() -> str:
    """The settings in one line."""
    state = st.session_state
    passages = len(texts.bundled("find")), len(texts.bundled("score"))
    where = f"{passages[0]} passages to find networks on and {passages[1]} others to score on"
    where = {OWN: "own texts", SECRET: "secret probes"}.get(state[_SOURCE], where)
    site = site_title(state[_SITE])
    return f"{state[_COMPONENTS]} networks, {site}, |z| > {state[_THRESHOLD]:g}, {where}"
