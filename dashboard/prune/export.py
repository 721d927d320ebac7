"""The plan as a file, and the pruned model saved as an ordinary folder with its card."""

import re

import streamlit as st

from dashboard import commands, exports, jobs, model_access, notices
from dashboard.jobs import Outcome
from dashboard.prune import capabilities
from dashboard.prune import jobs as prune_jobs
from dashboard.prune import plan as plan_view
from dashboard.prune.jobs import EXPORT
from dashboard.prune.state import PruneRequest
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.models.saving import destination
from fnet_core.pruning.export import export
from fnet_core.pruning.plan import PrunePlan
from fnet_core.reporting.recipes import prune_commands
from fnet_core.storage.atomic import new_folder

_FOLDER, _PROBLEM = "prune_folder", "prune_export_problem"


def draw(request: PruneRequest, plan: PrunePlan, perplexities: dict[str, PerplexityResult]) -> None:
    """Download of the plan, and export of the model; `perplexities` are what the card states."""
    if sentence := st.session_state.get(_PROBLEM):
        notices.error(sentence)
    model, files = st.columns(2, gap="large")
    with model:
        _export(request, perplexities)
    with files:
        st.subheader("Save the plan", anchor=False)
        st.caption("What goes, layer by layer, with the recipe of the scores. The model is not in it.")
        text = plan_view.plan_text(plan)
        st.download_button(
            "Plan (JSON)",
            text,
            f"plan-{_stem(request)}.json",
            "application/json",
            icon=":material/download:",
            width="stretch",
            on_click="ignore",
        )
        notices.keep_in_library("plan", text, "keep_plan")
    made = prune_commands(request.model, request.plan, request.score_request(), request.yardstick)
    commands.draw(made.lines, made.beyond)


def _stem(request: PruneRequest) -> str:
    model = re.sub(r"[^\w.-]+", "-", request.model).strip("-.") or "model"
    plan = request.plan
    amount = f"above-{plan.threshold:g}" if plan.ratio is None else f"{round(100 * plan.ratio)}"
    return f"{model}-{plan.method}-{amount}"


def _export(request: PruneRequest, perplexities: dict[str, PerplexityResult]) -> None:
    st.subheader("Export the pruned model", anchor=False)
    measured = (
        "The card states recipe and perplexities."
        if len(perplexities) == 2
        else "The perplexity is still being measured; the card states the recipe alone until then."
    )
    st.caption(
        "Cuts the weights and saves a smaller model with its tokenizer and a model card, which says how transformers "
        f"loads it and whether GGUF can hold it. {measured} Give a name, or a new folder."
    )
    job = prune_jobs.asked(EXPORT, request.model)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name", key=_FOLDER, on_change=_forget, placeholder=_stem(request))
        jobs.start_button("Export", "prune_export", "save", job, _submit, request, perplexities)
    prune_jobs.show(job, _done)


def _forget() -> None:
    """What was wrong is said until something else is asked for."""
    st.session_state.pop(_PROBLEM, None)


def _submit(request: PruneRequest, perplexities: dict[str, PerplexityResult]) -> None:
    _forget()
    try:
        name, folder = destination(st.session_state[_FOLDER].strip() or _stem(request), model_access.roots())
        new_folder(folder)
        note = exports.begin()
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)
        return

    def compute(loaded: LoadedModel, report: JobReport, publish) -> str:
        pruning = prune_jobs.prepared(loaded, request, report)
        yardstick, rows = request.yardstick if perplexities else None, capabilities.rows_for_card(loaded, pruning)
        export(loaded, pruning, folder, perplexities, report, yardstick, rows)
        note(folder)
        model_access.cards.clear()
        return name

    prune_jobs.ask(EXPORT, request, compute, f"Exporting {request.model}", "export", str(folder))


def _done(outcome: Outcome) -> None:
    jobs.saved_model(outcome.value, "Saved with its model card, under this name:")
