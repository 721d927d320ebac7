"""The shelves of the library: what stands on each, and what can be done with one thing."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import atlases, fingerprints, selection, words
from fnet_core.errors import RequestError
from fnet_core.interventions.edits import parse_edits
from fnet_core.storage import library
from fnet_core.storage.contents import Contents, contents_of, file_name, text_of
from fnet_core.storage.library import Entry, Library

SHELF, PROBLEM, _OPENED = "library_shelf", "library_problem", "library_opened"
_PAGES = {"atlas": "Networks", "fingerprint": "Compare", "edits": "Intervene", "plan": "Prune", "labels": "Networks"}
"""Where a thing of each shelf is opened."""

_COLUMNS = {
    "name": st.column_config.TextColumn("Name", width=160),
    "model": st.column_config.TextColumn("Model", width=150),
    "what": st.column_config.TextColumn("What it is", width=315),
    "made": st.column_config.DatetimeColumn("Made", format="YYYY-MM-DD HH:mm", width=140),
    "size": st.column_config.TextColumn("Size", width=70),
    "source": st.column_config.TextColumn(
        "From",
        width=115,
        help="What was computed here can be computed again, and goes first when the library is full. What was saved, "
        "imported or named never goes by itself.",
    ),
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
    contents = [_contents(str(entry.path), entry.made, entry) for entry in entries]
    rows = [
        {
            "name": entry.name or "",
            "model": words.without_places(found.model),
            "what": found.what,
            "made": datetime.fromtimestamp(entry.made),
            "size": words.size(entry.size),
            "source": "computed here" if entry.computed else "named" if entry.kind in library.COMPUTED else "a person",
        }
        for entry, found in zip(entries, contents, strict=True)
    ]
    table = pd.DataFrame(rows)
    picked = st.dataframe(
        table if any(entry.name for entry in entries) else table.drop(columns="name"),
        key=f"library_{shelf}",
        hide_index=True,
        column_config=_COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
        alt=f"{title} with name, model, what each is, date and size",
    )
    at = picked["selection"]["rows"]
    if at and at[0] < len(entries):
        _actions(entries[at[0]], contents[at[0]])
    else:
        st.caption("Select a row to open, export, rename or delete it.")


_EMPTY = {
    "atlas": "None yet. Every atlas that is found on the Networks page stands here.",
    "fingerprint": "None yet. Every fingerprint that is taken on the pages Compare and Audit stands here.",
    "plan": "None yet. 'Keep in the library' on the Prune page puts a plan here.",
    "edits": "None yet. 'Keep in the library' on the Intervene page puts edits here.",
    "labels": "None yet. What you write on networks on the Networks page stands here, one file for each atlas.",
    "measurement": "None yet. Perplexities, scores and comparisons stand here, so that none is made twice.",
}


@st.cache_data(max_entries=2000, show_spinner=False)
def _contents(path: str, changed: float, _entry: Entry) -> Contents:
    try:
        return contents_of(_entry)
    except RequestError:
        return Contents("cannot be read", "")


def _called(entry: Entry, found: Contents) -> str:
    """What an entry is called in a sentence."""
    return entry.name or ", ".join(filter(None, (found.model, found.what)))


def _actions(entry: Entry, found: Contents) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if entry.shelf in _PAGES:
            st.button(
                "Open",
                key="library_open",
                icon=":material/open_in_new:",
                on_click=_open,
                args=(entry,),
                help=f"On the {_PAGES[entry.shelf]} page.",
            )
        st.download_button(
            "Export",
            entry.path.read_bytes,
            file_name(entry, found),
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
            st.write(words.plain(f"Delete {_called(entry, found)} ({words.size(entry.size)}) for good? {again}"))
            st.button("Delete for good", key="library_delete", type="primary", on_click=_delete, args=(entry,))


def _open(entry: Entry) -> None:
    st.session_state[_OPENED] = entry


def follow() -> None:
    """Go to the page of a thing that was opened."""
    entry: Entry | None = st.session_state.pop(_OPENED, None)
    if entry is None:
        return
    try:
        selection.choose(**_chosen(entry))
    except RequestError as error:
        st.session_state[PROBLEM] = str(error)
    else:
        st.switch_page(f"pages/{_PAGES[entry.shelf].lower()}.py")


def _chosen(entry: Entry) -> dict[str, Any]:
    """What the page of an entry is to show; RequestError where it could show nothing."""
    if entry.shelf == "fingerprint":
        return {"a": fingerprints.reference_to(entry.path)}
    model = contents_of(entry).model or None
    if entry.shelf == "plan":
        return {"model": model, "plan": entry.key, "prune": None}
    key: str | None = f"{atlases.IMPORTED}{entry.key}" if entry.kind == atlases.UPLOADS else entry.key
    if entry.shelf == "labels" and not atlases.file_of(entry.key).is_file():
        raise RequestError(
            f"The networks of {model or 'the model'} that these labels are on are not here; find them again on the "
            "Networks page, and the labels stand on them."
        )
    if entry.shelf == "edits":
        _, recipe = parse_edits(text_of(entry))
        key = atlases.key_of(recipe)
        if key is None:
            raise RequestError(
                f"The networks of {model or 'the model'} that these edits change are not here; find them again on the "
                "Networks page, or import their atlas."
            )
        return {"model": model, "atlas": key, "edits": entry.key, "network": 0, "job": None}
    return {"model": model, "atlas": key, "network": 0, "view": None}


def _rename(entry: Entry) -> None:
    _try(lambda: library.rename(entry, st.session_state[f"library_name_{entry.key}"]))


def _delete(entry: Entry) -> None:
    _try(lambda: library.delete(entry))


def _try(work: Callable[[], None]) -> None:
    try:
        work()
    except RequestError as error:
        st.session_state[PROBLEM] = str(error)
