"""Inhibit and amplify networks, and see what that does to perplexity and text."""

from collections import Counter

import streamlit as st

from dashboard import atlases, frame, notices, selection, words
from dashboard.intervene import controls, results, state
from dashboard.intervene.jobs import INTERVENTION
from fnet_core.choices import site_title
from fnet_core.errors import RequestError

LISTED = 50
_COLUMNS = [2, 3]


def line(saved: atlases.SavedAtlas) -> str:
    """An atlas in one line; two may have the same one."""
    site = site_title(saved.site)
    scope = "" if saved.scope == "model" else f", {words.scope(saved.scope)}"
    networks, passages = words.count(saved.networks, "network"), words.count(saved.passages, "passage")
    return f"{saved.model}: {networks}, {site}{scope}, {passages}"


def atlas_picker(key: str | None) -> None:
    """The saved atlases to choose from; choosing one chooses its model too."""
    found, broken = atlases.saved(LISTED)
    for sentence in broken:
        notices.error(sentence)
    by_key = {saved.key: saved for saved in found}
    if not by_key and not key:
        return
    lines = {saved.key: line(saved) for saved in found} | ({key: key[:16]} if key and key not in by_key else {})
    repeated = {text for text, count in Counter(lines.values()).items() if count > 1}

    def shown(key: str) -> str:
        return f"{lines[key]} ({key[:8]})" if lines[key] in repeated else lines[key]

    def choose() -> None:
        if chosen := st.session_state["intervene_picker"]:
            saved = by_key.get(chosen)
            selection.choose(atlas=chosen, network=0, **({"model": saved.model} if saved else {}))

    selection.mirror("intervene_picker", key)
    st.selectbox(
        "Atlas",
        list(lines),
        index=0 if key else None,
        key="intervene_picker",
        format_func=shown,
        placeholder="Open a saved atlas",
        on_change=choose,
        help="The networks to edit, found on the Networks page. Edits run in the model that they were found in.",
    )


def page() -> None:
    """All below the frame; it returns early instead of `st.stop`, after which sliders come back at their lowest."""
    key = selection.current().atlas
    left, right = st.columns(_COLUMNS, gap="medium")
    with left:
        atlas_picker(key)
    if key is None:
        notices.info(
            "No networks to edit yet. Find the networks of a model first, or open a saved atlas; the sliders appear "
            "here.",
            icon=":material/tune:",
        )
        notices.next_step("pages/networks.py", "Find networks")
        return
    try:
        atlas, problem = atlases.annotated(key)
    except RequestError as error:
        notices.error(str(error))
        return
    if problem:
        notices.error(problem)
    try:
        state.start(key, atlas)
    except RequestError as error:
        notices.error(str(error))
    with left:
        controls.draw(key, atlas)
    state.write()
    with right:
        results.draw(key, atlas)


frame.draw(
    "Intervene",
    "Inhibit or amplify networks while the model runs, beside as many random neurons changed alike.",
    INTERVENTION,
)
page()
