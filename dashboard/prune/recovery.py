"""Training the pruned model for some steps: its perplexity on the way, beside a random cut trained as long."""

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard import charts, commands, exports, jobs, model_access, notices, texts, words
from dashboard.jobs import Outcome
from dashboard.prune import jobs as prune_jobs
from dashboard.prune.jobs import RECOVERY
from dashboard.prune.state import BUNDLED, PASTE, PruneRequest
from fnet_core import texts as core_texts
from fnet_core.derivation.recovering import COPIES, DEFAULT, RecoveryRequest
from fnet_core.derivation.recovery import Recovery, check_text, random_twin, recover
from fnet_core.derivation.training import DEFAULT_WINDOW, Training
from fnet_core.errors import RequestError
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.models.saving import destination
from fnet_core.plotting import recovery as figures
from fnet_core.progress import part_of
from fnet_core.pruning.export import export
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.methods import METHODS
from fnet_core.reporting.recipes import Recovering, prune_commands
from fnet_core.storage.atomic import new_folder

_PROBLEM = "prune_recovery_problem"
_NAMES = {"lora": "Adapters (LoRA)", "finetune": "All weights"}


@dataclass(frozen=True)
class Recovered:
    """What came of the training so far: of this cut, of a random one where asked, and the name it was saved under."""

    cut: Recovery
    control: Recovery | None = None
    untouched: float | None = None
    name: str = ""


def draw(request: PruneRequest) -> None:
    """The settings with the button, and the perplexity as the training goes on."""
    if sentence := st.session_state.get(_PROBLEM):
        notices.error(sentence)
    job = prune_jobs.asked(RECOVERY, request.model)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kept: dict[str, Any] = {"persist_state": "session"}
        st.number_input("Steps", 1, 10_000, DEFAULT.steps, key="prune_recover_steps", width=110, **kept)
        st.selectbox(
            "What is trained", list(COPIES), format_func=_NAMES.__getitem__, key="prune_recover_by", width=180, **kept
        )
        st.selectbox("Text to train on", [BUNDLED, PASTE], key="prune_recover_source", width=200, **kept)
        st.text_input("Save as", key="prune_recover_name", placeholder="not saved", width=180, **kept)
        jobs.start_button("Recover", "prune_recover", "healing", job, _submit, request)
    if st.session_state["prune_recover_source"] == PASTE:
        texts.paste("prune_recover_pasted", 120)
    st.toggle(
        "A random cut of the same size too",
        key="prune_recover_control",
        persist_state="session",
        help="Trained for as many steps, with nothing that stands in for what went: what training makes of any cut.",
    )
    if job is None:
        st.caption(
            f"Trains a copy of the pruned model, a window of {DEFAULT_WINDOW} tokens each step. Perplexity is not "
            "measured on the bundled passages that it is trained on. A training that is stopped leaves nothing behind."
        )
    prune_jobs.show(job, lambda outcome: _found(request, outcome))
    _commands(request)


def _commands(request: PruneRequest) -> None:
    state = st.session_state
    own, name = state["prune_recover_source"] == PASTE, state["prune_recover_name"].strip() or None
    wanted = Recovering(state["prune_recover_steps"], state["prune_recover_by"], own, state["prune_recover_control"])
    scores = request.score_request()
    made = prune_commands(
        request.model, request.plan, scores, request.yardstick, request.target, out=name, recovering=wanted
    )
    commands.draw(made.lines, made.beyond)


def _passages() -> tuple[core_texts.Passage, ...]:
    if st.session_state["prune_recover_source"] == PASTE:
        return core_texts.from_text(st.session_state.get("prune_recover_pasted", ""))
    return core_texts.for_networks()


def _submit(request: PruneRequest) -> None:
    state = st.session_state
    state.pop(_PROBLEM, None)
    name, control = state["prune_recover_name"].strip(), state["prune_recover_control"]
    folder = note = None
    try:
        training = Training(steps=state["prune_recover_steps"])
        wanted = RecoveryRequest(_passages(), training, state["prune_recover_by"], request.scores.seed)
        if name:
            name, folder = destination(name, model_access.roots())
            new_folder(folder)
            note = exports.begin()
    except RequestError as error:
        state[_PROBLEM] = str(error)
        return

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Recovered:
        check_text(loaded, wanted)
        pruning = prune_jobs.prepared(loaded, request, report)
        measured = measure_pruning(loaded, pruning, request.yardstick, report)
        untouched, parts = measured.baseline.value, 2 if control else 1

        def train(number: int, what, publish_part) -> Recovery:
            part = part_of(report, number, parts, "training")
            return recover(loaded, what, wanted, request.yardstick, part, publish_part)

        trained = train(0, pruning, lambda so_far: publish(Recovered(so_far, None, untouched)))
        if folder is not None and note is not None and trained.model is not None:
            perplexities = {"before": measured.baseline, "after": measured.pruned}
            saved = (trained.model, trained.summary())
            export(loaded, pruning, folder, perplexities, report, request.yardstick, trained=saved)
            note(folder)
            model_access.cards.clear()
        found = Recovered(replace(trained, model=None), None, untouched, name)
        if not control:
            return found
        twin = random_twin(loaded, pruning, request.scores, report)
        other = train(1, twin, lambda so_far: publish(replace(found, control=so_far)))
        return replace(found, control=replace(other, model=None))

    what = (wanted.training.steps, wanted.how, [p.text for p in wanted.passages], control, name)
    prune_jobs.ask(RECOVERY, request, compute, f"Training {request.model}", "recovery", *what)


def _found(request: PruneRequest, outcome: Outcome) -> None:
    tried, found = outcome.request, outcome.value
    stale = ". :material/edit: The controls were changed since; press the button for what they say now."
    st.caption(f"{METHODS[tried.plan.method].title}, {tried.amount}" + (stale if tried.key() != request.key() else ""))
    cut: Recovery = found.cut
    before, after, step = cut.before.value, cut.after.value, cut.curve[-1][0]
    sentence = f"Perplexity goes from {words.perplexity(before)} to **{words.perplexity(after)}** in {step} steps"
    if found.control:
        sentence += (
            f"; that of a random cut from {words.perplexity(found.control.before.value)} to "
            f"**{words.perplexity(found.control.after.value)}** in {found.control.curve[-1][0]}"
        )
    st.markdown(f"{sentence}.")
    curves = {"this cut": cut.curve} | ({"a random cut": found.control.curve} if found.control else {})
    charts.draw(figures.recovery(curves, found.untouched), "prune_recovery_figure")
    if found.name:
        jobs.saved_model(found.name, "Saved as it is after the training, under this name:")
