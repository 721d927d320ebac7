"""The plan as a file, and the pruned model saved as an ordinary folder with its card."""

import re
from dataclasses import dataclass, replace

import streamlit as st

from dashboard import commands, exports, jobs, model_access, notices
from dashboard.jobs import Outcome
from dashboard.prune import capabilities
from dashboard.prune import jobs as prune_jobs
from dashboard.prune import plan as plan_view
from dashboard.prune.jobs import EXPORT
from dashboard.prune.state import PruneRequest
from fnet_core.choices import FORMS
from fnet_core.errors import RequestError
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.models.saving import destination
from fnet_core.pruning.export import export
from fnet_core.pruning.plain import check_plain, leaving, plain_request
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.reaching import reach
from fnet_core.reporting.recipes import prune_commands
from fnet_core.storage.atomic import new_folder

_FORM_NAMES = {
    "auto": "Without code where that is no worse",
    "plain": "Without code",
    "asked": "As asked, with code if needed",
}
_FOLDER, _PROBLEM = "prune_folder", "prune_export_problem"


@dataclass(frozen=True)
class Saved:
    """A saved model's name, and what its form costs where there was a choice."""

    name: str
    sentence: str


def draw(request: PruneRequest, plan: PrunePlan) -> None:
    """Download of the plan, and export of the model."""
    if sentence := st.session_state.get(_PROBLEM):
        notices.error(sentence)
    model, files = st.columns(2, gap="large")
    with model:
        _export(request)
    with files:
        st.header("Save the plan", anchor=False)
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
    saved = st.session_state["prune_export_form"], st.session_state[_FOLDER].strip() or _stem(request)
    scores = request.score_request()
    made = prune_commands(request.model, request.plan, scores, request.yardstick, request.target, *saved)
    commands.draw(made.lines, made.beyond)


def _stem(request: PruneRequest) -> str:
    model = re.sub(r"[^\w.-]+", "-", request.model).strip("-.") or "model"
    plan = request.plan
    amount = f"above-{plan.threshold:g}" if plan.ratio is None else f"{100 * plan.ratio:.4g}"
    return f"{model}-{plan.method}-{amount}"


def _export(request: PruneRequest) -> None:
    st.header("Export the pruned model", anchor=False)
    st.caption(
        "Cuts the weights and saves a smaller model with its tokenizer and a model card with recipe and perplexities, "
        "which says how transformers loads it and whether GGUF can hold it. Give a name, or a new folder."
    )
    st.selectbox(
        "Form",
        list(FORMS),
        format_func=_FORM_NAMES.__getitem__,
        key="prune_export_form",
        persist_state="session",
        help="\n".join(f"- **{_FORM_NAMES[form]}**: {line}." for form, line in FORMS.items()),
    )
    job = prune_jobs.asked(EXPORT, request.model)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name", key=_FOLDER, on_change=_forget, placeholder=_stem(request))
        jobs.start_button("Export", "prune_export", "save", job, _submit, request)
    prune_jobs.show(job, _done)


def _forget() -> None:
    """What was wrong is said until something else is asked for."""
    st.session_state.pop(_PROBLEM, None)


def _submit(request: PruneRequest) -> None:
    _forget()
    form, target = st.session_state["prune_export_form"], request.target
    try:
        name, folder = destination(st.session_state[_FOLDER].strip() or _stem(request), model_access.roots())
        new_folder(folder)
        note = exports.begin()
        plan = plain_request(request.plan) if form == "plain" else request.plan
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)
        return

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Saved:
        asked = plan
        if form == "plain":
            check_plain(loaded, plan)
            if target:
                asked = reach(loaded, target, plan, request.score_request(), request.yardstick, report).plan.request
        pruning = prune_jobs.prepared(loaded, replace(request, plan=asked), report)
        left = leaving(loaded, pruning, request.scores, request.yardstick, form, report, target)
        perplexities = {"before": left.result.baseline, "after": left.result.pruned}
        rows = capabilities.rows_for_card(loaded, left.pruning)
        export(loaded, left.pruning, folder, perplexities, report, request.yardstick, rows)
        note(folder)
        model_access.cards.clear()
        return Saved(name, left.sentence)

    prune_jobs.ask(EXPORT, request, compute, f"Exporting {request.model}", "export", str(folder), form)


def _done(outcome: Outcome) -> None:
    saved: Saved = outcome.value
    jobs.saved_model(saved.name, "Saved with its model card, under this name:")
    if saved.sentence:
        st.caption(saved.sentence)
