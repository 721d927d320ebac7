"""What is kept on this machine: atlases, fingerprints, plans, edits and measurements, and how much room they take."""

import os

import streamlit as st

from dashboard import frame, notices, words
from dashboard.library import importing, shelves
from fnet_core.errors import RequestError
from fnet_core.storage import library

UPLOAD, LIMIT, SAID = "library_upload", "library_limit", "library_said"


def bring() -> None:
    """Keep the files that were chosen, and say of each what came of it."""
    said, problems = [], []
    for upload in st.session_state[UPLOAD]:
        try:
            said.append(importing.keep(upload.getvalue(), words.file_name(upload.name)))
        except RequestError as error:
            problems.append(str(error))
    st.session_state[SAID], st.session_state[shelves.PROBLEM] = " ".join(said), " ".join(problems)


def limit() -> None:
    """Let the library grow to what was typed."""
    try:
        library.set_limit(round(st.session_state[LIMIT] * 1e9))
    except RequestError as error:
        st.session_state[shelves.PROBLEM] = str(error)


frame.draw("Library", "What is kept on this machine, so that nothing is computed twice. Models are not counted.")
shelves.follow()
try:
    found = library.library()
except RequestError as error:
    notices.error(str(error))
    st.stop()
if sentence := st.session_state.pop(shelves.PROBLEM, None) or found.full:
    notices.error(sentence)
if sentence := st.session_state.pop(SAID, None):
    st.success(words.plain(sentence), icon=":material/check_circle:")

numbers, room, more = st.columns([3, 4, 3], gap="medium", vertical_alignment="bottom")
with numbers, st.grid(2, min_column_width=110, gap="small"):
    st.metric("Kept", words.count(len(found.entries), "thing"))
    st.metric("Made by people", words.size(found.made_size), help="Saved, imported or named: it never goes by itself.")
with room:
    share = min(1.0, found.size / found.limit)
    st.progress(share, text=f"{words.size(found.size)} of {words.size(found.limit)}")
with more, st.container(horizontal=True, gap="small"):
    with st.popover("Import", icon=":material/upload:", width="content"):
        st.file_uploader(
            "Atlases, fingerprints, plans or edits",
            type=list(importing.ENDINGS),
            accept_multiple_files=True,
            key=UPLOAD,
            on_change=bring,
        )
    with st.popover("Limit", icon=":material/tune:", width="content"):
        fixed = library.LIMIT_VARIABLE in os.environ
        st.number_input(
            "The library may hold (GB)", 0.001, 1e6, found.limit / 1e9, key=LIMIT, format="%.3f", disabled=fixed
        )
        st.button("Set the limit", key="library_set_limit", on_click=limit, disabled=fixed)
        st.caption(
            f"{library.LIMIT_VARIABLE} sets it."
            if fixed
            else "Beyond it, what can be computed again goes first, the longest unused before the others. What people "
            "saved, imported or named never goes by itself."
        )
shelves.draw(found)
