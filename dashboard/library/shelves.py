"""The shelves of the library: what stands on each, and what can be done with one thing."""

from collections.abc import Callable
from datetime import datetime

import pandas as pd
import streamlit as st

from dashboard import atlases, fingerprints, selection, words
from fnet_core.errors import RequestError
from fnet_core.storage import library
from fnet_core.storage.library import Entry, Library

SHELF, PROBLEM, _OPENED = "library_shelf", "library_problem", "library_opened"

_COLUMNS = {
    "name": st.column_config.TextColumn("Name", width="medium"),
    "model": st.column_config.TextColumn("Model", width="medium"),
    "made": st.column_config.DatetimeColumn("Made", format="YYYY-MM-DD HH:mm", width="small"),
    "size": st.column_config.TextColumn("Size", width="small"),
    "source": st.column_config.TextColumn(
        "From",
        width="small",
        help="What was computed here can be computed again, and goes first when the library is full. What was saved, "
        "imported or named never goes by itself.",
    ),
}
_MEASUREMENTS = {
    "pair": "comparison of two fingerprints",
    "recurrence": "recurrence of networks",
    "perplexity": "perplexity",
    "prune-scores": "scores for pruning",
    "layer-factors": "networks of layers, for pruning",
    "singles": "networks of single texts",
    "asked": "which atlas answers a request",
    "capabilities": "capabilities of a model",
    "lesions": "capabilities under lesions",
    "preservation": "what is left with the networks alone",
}


def draw(found: Library) -> None:
    """The shelves as tabs; the one that is open with its table and what can be done with a row of it."""
    filled = (shelf for shelf in library.TITLES if any(entry.shelf == shelf for entry in found.entries))
    first = _title(found, next(filled, "atlas"))
    for tab, (shelf, title) in zip(
        st.tabs([_title(found, shelf) for shelf in library.TITLES], key=SHELF, on_change="rerun", default=first),
        library.TITLES.items(),
        strict=True,
    ):
        if tab.open:
            with tab:
                _shelf(shelf, title, [entry for entry in found.entries if entry.shelf == shelf])


def _title(found: Library, shelf: str) -> str:
    return f"{library.TITLES[shelf]} ({sum(entry.shelf == shelf for entry in found.entries)})"


def _shelf(shelf: str, title: str, entries: list[Entry]) -> None:
    if not entries:
        st.caption(_EMPTY[shelf])
        return
    rows = [
        {
            "name": _name(entry),
            "model": _model(str(entry.path), entry.made, entry),
            "made": datetime.fromtimestamp(entry.made),
            "size": words.size(entry.size),
            "source": "computed here" if entry.computed else "named" if entry.kind in library.COMPUTED else "a person",
        }
        for entry in entries
    ]
    picked = st.dataframe(
        pd.DataFrame(rows),
        key=f"library_{shelf}",
        hide_index=True,
        column_config=_COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
        alt=f"{title} with name, model, date and size",
    )
    at = picked["selection"]["rows"]
    if at and at[0] < len(entries):
        _actions(entries[at[0]])
    else:
        st.caption("Select a row to open, export, rename or delete it.")


_EMPTY = {
    "atlas": "None yet. Every atlas that is found on the Networks page stands here.",
    "fingerprint": "None yet. Every fingerprint that is taken on the pages Compare and Audit stands here.",
    "plan": "None yet. 'Keep in the library' on the Prune page puts a plan here.",
    "edits": "None yet. 'Keep in the library' on the Intervene page puts edits here.",
    "measurement": "None yet. Perplexities, scores and comparisons stand here, so that none is made twice.",
}


def _name(entry: Entry) -> str:
    return entry.name or f"{_MEASUREMENTS.get(entry.kind, '')} {entry.key[:8]}".strip()


@st.cache_data(max_entries=2000, show_spinner=False)
def _model(path: str, changed: float, _entry: Entry) -> str:
    try:
        return library.model_of(_entry)
    except RequestError:
        return "cannot be read"


def _actions(entry: Entry) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if entry.shelf in ("atlas", "fingerprint"):
            st.button("Open", key="library_open", icon=":material/open_in_new:", on_click=_open, args=(entry,))
        st.download_button(
            "Export",
            entry.path.read_bytes,
            f"{entry.shelf}-{entry.key[:12]}{entry.path.suffix}",
            "application/octet-stream",
            key="library_export",
            icon=":material/download:",
            on_click="ignore",
        )
        with st.popover("Rename", icon=":material/edit:", width="content"):
            st.text_input("Name", entry.name or "", key=f"library_name_{entry.key}", max_chars=library.LONGEST_NAME)
            st.button("Save the name", key="library_rename", on_click=_rename, args=(entry,))
            st.caption("A named thing never goes by itself. An empty name takes it away.")
        with st.popover("Delete", icon=":material/delete:", width="content"):
            again = "It can be computed again." if entry.kind in library.COMPUTED else "It cannot be made again here."
            st.write(words.plain(f"Delete {_name(entry)} ({words.size(entry.size)}) for good? {again}"))
            st.button("Delete for good", key="library_delete", type="primary", on_click=_delete, args=(entry,))


def _open(entry: Entry) -> None:
    st.session_state[_OPENED] = entry


def follow() -> None:
    """Go to the page of a thing that was opened."""
    entry: Entry | None = st.session_state.pop(_OPENED, None)
    if entry is None:
        return
    if entry.shelf == "atlas":
        key = f"{atlases.IMPORTED}{entry.key}" if entry.kind == atlases.UPLOADS else entry.key
        selection.choose(model=library.model_of(entry) or None, atlas=key, network=0, view=None)
        st.switch_page("pages/networks.py")
    selection.choose(a=fingerprints.reference_to(entry.path))
    st.switch_page("pages/compare.py")


def _rename(entry: Entry) -> None:
    _try(lambda: library.rename(entry, st.session_state[f"library_name_{entry.key}"]))


def _delete(entry: Entry) -> None:
    _try(lambda: library.delete(entry))


def _try(work: Callable[[], None]) -> None:
    try:
        work()
    except RequestError as error:
        st.session_state[PROBLEM] = str(error)
