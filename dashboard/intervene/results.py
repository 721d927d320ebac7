"""The right side of the Intervene page: untouched, edited and controls side by side, and the tabs below them."""

import streamlit as st

from dashboard import charts, coloured_text, jobs, notices, stepper, words
from dashboard.intervene import controls, export, keeping, pins, state, sweeps, writing
from dashboard.intervene import jobs as intervene_jobs
from dashboard.intervene.jobs import INTERVENTION
from dashboard.jobs import Outcome
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.interventions import tables
from fnet_core.interventions.measuring import Intervention
from fnet_core.jobs import Job
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import interventions

_WINDOWS_FOR_INTERVAL = 3
_NO_CONTROL = "none: so many neurons of a layer are edited that too few are left to draw from"
_SHOWN = "intervene_passage_shown"
_TABLE = {
    "passage": st.column_config.TextColumn("Passage", width="medium"),
    "untouched": st.column_config.NumberColumn("Untouched", format="%.1f", help="Perplexity of the untouched model."),
    "edited": st.column_config.NumberColumn("Edited", format="%.1f"),
    "control": st.column_config.NumberColumn("Controls", format="%.1f", help="Median of the random controls."),
    "ratio": st.column_config.NumberColumn("Ratio", format="%.2f", help="Edited over untouched perplexity."),
}


def draw(key: str, atlas: Atlas) -> None:
    """The three perplexities, live while they are measured, then the tabs; only the open one is drawn."""
    job = intervene_jobs.current(INTERVENTION, key)
    found = None
    if jobs.under_way(job):
        jobs.live_result(job.id, _perplexities)
    else:
        found = _finished(key, atlas, job)
    pins.draw(key, atlas, found, _perplexities)
    views = {
        "Passages": lambda: _passages(found),
        "Text": lambda: _text(found),
        "Writing": lambda: writing.draw(key),
        "Dose-response": lambda: sweeps.doses(key, atlas),
        "Keep only": lambda: keeping.draw(key, atlas),
        "Ranking": lambda: sweeps.ranking(key, atlas),
        "Save and export": lambda: export.draw(key, atlas, found),
    }
    for tab, view in zip(st.tabs(list(views), key="intervene_view", on_change="rerun"), views.values(), strict=True):
        if tab.open:
            with tab:
                view()


def _finished(key: str, atlas: Atlas, job: Job | None) -> Outcome | None:
    """The result that is shown: what the store has of the controls, or else what the session measured last."""
    intervene_jobs.ended(job)
    measured = jobs.outcome(job) if job and job.state == "done" else None
    if measured is None or controls.changed_since(key, job):
        request = controls.request_or_none(key)
        if request and (kept := state.known(atlas, request)):
            found = Outcome(request, kept)
            _perplexities(found)
            return found
    if measured:
        _perplexities(measured)
        if controls.changed_since(key, job):
            st.caption(":material/edit: The controls were changed since; press 'Run' to measure them.")
    elif job is None:
        notices.info(
            "Press 'Run': the model reads the text untouched, edited, and with random neurons changed instead. The "
            "first numbers come within seconds.",
            icon=":material/play_arrow:",
        )
    return measured


def _perplexities(outcome: Outcome) -> None:
    """Perplexity untouched, edited and of the controls, with differences; estimates so far before the end."""
    measured: Intervention = outcome.value
    if not measured.done:
        measured = measured.on_same_windows()
    untouched, edited, random = st.columns(3)
    with untouched:
        _metric("Untouched", measured.baseline.value, None, _interval(measured.baseline))
    with edited:
        _metric("Edited", measured.edited.value, measured.effect.value, _interval(measured.edited))
    with random:
        _controls(measured, outcome.request.controls)
    if not measured.edited.finite:
        gains = ", ".join(f"{edit.name or 'edit'} at gain {edit.gain:g}" for edit in measured.edits)
        notices.error(f"The edited model's output became infinite, so it has no perplexity. The edit: {gains}.")
    if measured.done:
        st.markdown(_verdict(measured))
        st.caption(_basis(measured.baseline))
    else:
        done, total = len(measured.edited.nll_W), measured.edited.total_windows
        st.caption(f"After {done} of {total} windows, all numbers over the same ones.")


def _interval(result: PerplexityResult) -> str:
    if len(result.nll_W) < _WINDOWS_FOR_INTERVAL:
        return f"{words.count(len(result.nll_W), 'window')}: no interval"
    return f"95 %: {words.between(result.interval)}"


def _metric(name: str, value: float, ratio: float | None, below: str) -> None:
    """One perplexity with its change against the untouched model; worse is red."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.metric(
            name,
            words.perplexity(value),
            delta=words.factor(ratio) if ratio is not None else None,
            delta_color="off" if ratio is None or 0.999 < ratio < 1.001 else "red" if ratio > 1 else "green",
            delta_arrow="off",
        )
        st.caption(below)


def _controls(measured: Intervention, asked: int) -> None:
    spread, effects = tables.control_spread(measured), tables.control_effect_spread(measured)
    if spread is None or effects is None:
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.metric("Controls", "–")
            st.caption(_NO_CONTROL if asked and measured.done else "measured next" if asked else "none asked for")
        return
    count = len(measured.controls)
    median, low, high = spread
    ratio = effects[0]
    if count == 1:
        _metric("Random control", median, ratio, "a single draw")
        return
    below = f"range: {words.between((low, high))}"
    _metric(f"Controls, median of {count}", median, ratio, below)


def _verdict(measured: Intervention) -> str:
    """What was seen, in one or two sentences."""
    neurons = words.count(len({neuron for edit in measured.edits for neuron in edit.neurons}), "neuron")
    effect = measured.effect
    change = _change(effect.value)
    sentence = f"**Editing {neurons} {change}**"
    if effect.interval and len(measured.edited.nll_W) >= _WINDOWS_FOR_INTERVAL:
        sentence += f" (95 %, paired: {words.factors(effect.interval, effect.value)})"
    if spread := tables.control_effect_spread(measured):
        median, low, high = spread
        sentence += f". As many random neurons in the same layers: {words.factor(median, effect.value)}"
        if len(measured.controls) > 1:
            sentence += f" (range {words.factors((low, high), effect.value)})"
    return sentence + "."


def _change(ratio: float) -> str:
    if ratio == float("inf"):
        return "breaks the model"
    if not 0.5 < ratio < 1.5:
        return f"multiplies perplexity by {words.times(ratio)}"
    if abs(ratio - 1) < 5e-4:
        return "leaves perplexity as it is"
    return f"{'raises' if ratio > 1 else 'lowers'} perplexity by {100 * abs(ratio - 1):.1f} %"


def _basis(result: PerplexityResult) -> str:
    """What the perplexity was measured on."""
    windows = words.count(len(result.nll_W), "window")
    start = f"start token {words.plain(result.start)}" if result.start else "no start token"
    return (
        f"Perplexity per {result.definition} · {words.count(len(result.texts), 'passage')}, "
        f"{words.count(result.tokens, 'token')} · {windows} of {result.window}, stride {result.stride} · "
        f"{start} · {result.dtype} · intervals over windows"
    )


def _passages(found: Outcome | None) -> None:
    if found is None:
        st.caption("The perplexity of each passage appears here when a run is done.")
        return
    measured: Intervention = found.value
    charts.draw(
        interventions.passages(measured),
        "intervene_passages_figure",
        "A line reaches from the untouched to the edited perplexity of a passage. Circles are the median of the random "
        "controls: where they lie on the grey dots, random neurons do no harm.",
    )
    st.dataframe(
        tables.passage_table(measured),
        key="intervene_passage_table",
        hide_index=True,
        height="content",
        column_config=_TABLE,
        alt="Perplexity of each passage untouched, edited and with random controls",
    )


def _text(found: Outcome | None) -> None:
    if found is None:
        st.caption("The text appears here when a run is done, coloured by which tokens became harder to predict.")
        return
    measured: Intervention = found.value
    at = _passage_picker(measured)
    passage = found.request.yardstick.passages[at]
    with st.container(border=True, key="worsened_text"):
        st.html(
            coloured_text.by_change(
                passage.text,
                measured.baseline.token_offsets[at],
                measured.baseline.token_nll[at],
                measured.edited.token_nll[at],
            )
        )
    st.caption(
        "Red tokens became harder to predict under the edit, blue ones easier, in nats: 0.7 nats halve a token's "
        "probability. Point at a token for its numbers. Tokens without colour did not change or were not scored."
    )


def _passage_picker(measured: Intervention) -> int:
    """Previous, list, next, legend; until one is picked, the passage that suffers most."""
    names = measured.baseline.texts
    at = st.session_state.get(_SHOWN)
    if at is None or at >= len(names):
        at = tables.worst_passage(measured)
    *steps, scale = st.columns([0.6, 4, 0.6, 3], gap="xsmall", vertical_alignment="center")
    stepper.step(steps, "edited_passage", range(len(names)), at, _show, line=lambda i: names[i])
    with scale:
        st.html(coloured_text.change_legend())
    return at


def _show(passage: int) -> None:
    st.session_state[_SHOWN] = passage
