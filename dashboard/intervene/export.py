"""Edits and results as files, edits from a file, and a model saved with the edits folded in."""

import json

import streamlit as st

from dashboard import charts, commands, exports, jobs, model_access, notices, words
from dashboard.intervene import controls, state
from dashboard.intervene import jobs as intervene_jobs
from dashboard.intervene.jobs import BAKING
from dashboard.jobs import Outcome
from fnet_core.errors import RequestError
from fnet_core.interventions import tables
from fnet_core.interventions.baking import FOLDABLE, bake
from fnet_core.interventions.edits import edits_text
from fnet_core.models.saving import destination
from fnet_core.networks.atlas import Atlas
from fnet_core.reporting.recipes import edit_commands

_UPLOAD, _FOLDER, _PROBLEM = "edits_upload", "bake_folder", "export_problem"


def draw(key: str, atlas: Atlas, found: Outcome | None) -> None:
    """Downloads, the upload, and baking."""
    if sentence := st.session_state.get(_PROBLEM):
        notices.error(sentence)
    files, model = st.columns(2, gap="large")
    with files:
        _downloads(key, found)
        st.header("Load edits", anchor=False)
        st.file_uploader(
            "A file of edits (JSON)",
            type=["json"],
            key=_UPLOAD,
            on_change=_load,
            label_visibility="collapsed",
        )
    with model:
        _baking(key, atlas)
    _commands(key, atlas)


def _downloads(key: str, found: Outcome | None) -> None:
    st.header("Save", anchor=False)
    try:
        request = state.request(key)
    except RequestError as error:
        st.caption(words.plain(str(error)))
        request = None
    text = edits_text(request.edits, request.recipe) if request else None
    st.download_button(
        "Edits (JSON)",
        text or "",
        "edits.json",
        "application/json",
        icon=":material/download:",
        width="stretch",
        disabled=request is None,
        on_click="ignore",
        help="The neurons with their gains, and the recipe of the atlas they come from. The command line reads it too: "
        "edit MODEL --load edits.json",
    )
    notices.keep_in_library("edits", text, "keep_edits")
    st.download_button(
        "Result (JSON)",
        json.dumps(_result(found), indent=1, ensure_ascii=False) if found else "",
        "intervention.json",
        "application/json",
        icon=":material/download:",
        width="stretch",
        on_click="ignore",
        help="Perplexities, intervals and ratios, as the command line prints them, with what was asked.",
    )
    charts.download_csv(
        "Passages (CSV)",
        tables.passage_table(found.value) if found else None,
        "intervention-passages.csv",
        width="stretch",
    )
    if found is None:
        st.caption("The result can be saved when a run is done.")


def _commands(key: str, atlas: Atlas) -> None:
    """How the command line makes what the controls ask for; nothing while that is wrong."""
    if request := controls.request_or_none(key):
        made = edit_commands(atlas, request.gains, request.threshold, request.yardstick, request.controls, request.seed)
        commands.draw(made.lines, made.beyond)


def _result(found: Outcome) -> dict:
    request = found.request
    asked = {
        "model": request.model,
        "threshold": request.threshold,
        "random_controls": request.controls,
        "seed": request.seed,
        "atlas_recipe": request.recipe,
    }
    return found.value.summary() | asked


def _load() -> None:
    _forget()
    upload = st.session_state[_UPLOAD]
    if upload is None:
        state.unload()
        return
    try:
        state.load(upload.getvalue().decode("utf-8"))
    except UnicodeDecodeError:
        st.session_state[_PROBLEM] = "This is not a file of saved edits; load one that FNet saved."
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)


def _baking(key: str, atlas: Atlas) -> None:
    st.header("Bake into a model", anchor=False)
    st.caption(
        "Folds the edits into the weights and saves an ordinary model, which behaves as the edited one does and loads "
        "anywhere. Give a name, or a new folder."
    )
    job = intervene_jobs.current(BAKING, key)
    foldable = atlas.site in FOLDABLE
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name", key=_FOLDER, on_change=_forget, placeholder="smollm2-without-8", disabled=not foldable)
        st.button(
            "Bake",
            key="bake",
            icon=":material/save:",
            disabled=not foldable or jobs.under_way(job),
            on_click=_submit,
            args=(key,),
        )
    if not foldable:
        st.caption(f"Edits at site {atlas.site} cannot be folded into weights; sites {' and '.join(FOLDABLE)} can.")
    if jobs.under_way(job):
        jobs.live_result(job.id, lambda outcome: None)
        return
    intervene_jobs.ended(job)
    if job and job.state == "done":
        jobs.saved_model(job.result.value, "Saved, under this name:")


def _forget() -> None:
    """What was wrong is said until something else is asked for."""
    st.session_state.pop(_PROBLEM, None)


def _submit(key: str) -> None:
    request = controls.checked(key)
    if request is None:
        return
    _forget()
    try:
        name, folder = destination(st.session_state[_FOLDER].strip(), model_access.roots())
        note = exports.begin()
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)
        return

    def compute(loaded, report, publish) -> str:
        bake(loaded, request.edits, folder, request.recipe, report)
        note(folder)
        return name

    intervene_jobs.submit(BAKING, request, compute, f"Baking {request.model}", str(folder))
