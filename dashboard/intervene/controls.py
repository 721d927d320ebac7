"""The left side of the Intervene page: a gain for each chosen network, presets, and the button that measures."""

from collections.abc import Callable, Sequence
from functools import partial
from html import escape

import streamlit as st

from dashboard import atlases, jobs, notices, selection, threshold, words
from dashboard.intervene import jobs as intervene_jobs
from dashboard.intervene import settings, state
from dashboard.intervene.jobs import INTERVENTION, RANKING, EditRequest
from dashboard.intervene.state import ALL
from fnet_core.errors import RequestError
from fnet_core.interventions.controls import NoControlError
from fnet_core.interventions.edits import edit_networks
from fnet_core.interventions.measuring import Intervention, intervene
from fnet_core.jobs import Job, JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import networks as figures

_ADD, _THRESHOLD = "intervene_add", "intervene_threshold"
_PROBLEM = "intervene_problem"
_MANY_ROWS, _ROWS_HEIGHT = 3, 400
_ENDS = (
    '<div style="display:flex;justify-content:space-between;font-size:.75rem;opacity:.65;margin-top:-.9rem">'
    '<span style="width:4rem">inhibit</span><span>unchanged</span>'
    '<span style="width:4rem;text-align:right">amplify</span></div>'
)


def draw(key: str, atlas: Atlas) -> None:
    """Rows, presets, threshold with its count, Run and More; an error box for what is wrong in them."""
    if found := state.loaded():
        _from_file(found[0])
    else:
        _presets(key, atlas)
        _add(atlas)
        rows = list(state.gains())
        with st.container(height=_ROWS_HEIGHT if len(rows) > _MANY_ROWS else "content", border=False):
            for network in rows:
                _row(atlas, network)
        threshold.slider(
            _THRESHOLD,
            "Neurons whose weight in the network lies beyond this many standard deviations, on either side, are its "
            f"key neurons: those that are edited. {threshold.SAME}",
        )
    problem = st.session_state.pop(_PROBLEM, None) or _count(atlas)
    if problem:
        notices.error(problem)
    _run(key)


def _presets(key: str, atlas: Atlas) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        name, network, why = _to_inhibit(key)
        st.button(
            name,
            key="preset_inhibit",
            help=f"Network {network} at gain 0: {why}",
            on_click=state.replace_all,
            args=({network: 0.0},),
        )
        st.button(
            "Amplify all by 1.05",
            key="preset_amplify",
            help="The key neurons of every network, each once, multiplied by 1.05.",
            on_click=state.replace_all,
            args=({ALL: 1.05},),
        )
        st.button(
            "Reset all",
            key="reset_gains",
            type="tertiary",
            help="Every gain back to 1, unchanged.",
            on_click=state.reset,
        )


def _to_inhibit(key: str) -> tuple[str, int, str]:
    """Name, network and reason of the preset: what a ranking puts first, or else what has the largest variance."""
    ranked = jobs.outcome(intervene_jobs.current(RANKING, key))
    if ranked:
        return "Inhibit the most damaging", ranked.value[0].network, "the most damaging one in the ranking below."
    return (
        "Inhibit the largest",
        0,
        "the one with the largest variance. Make the ranking below to know which one matters most.",
    )


def _add(atlas: Atlas) -> None:
    free = [network for network in [*range(len(atlas)), ALL] if network not in state.gains()]
    st.selectbox(
        "Add a network",
        free,
        index=None,
        key=_ADD,
        format_func=lambda network: _name(atlas, network),
        placeholder="Add a network to edit",
        label_visibility="collapsed",
        on_change=_added,
    )


def _added() -> None:
    if (network := st.session_state[_ADD]) is not None:
        state.set_gain(network, 0.0)
        st.session_state[_ADD] = None


def _name(atlas: Atlas, network: int | str) -> str:
    return f"All {len(atlas)} networks" if isinstance(network, str) else f"{network} · {atlas.named[network]}"


def _row(atlas: Atlas, network: int | str) -> None:
    """One network: colour and name, number box, remove, and the slider centred on unchanged."""
    gain = state.gains()[network]
    slider, box = f"gain_slider_{network}", f"gain_box_{network}"
    selection.mirror(slider, state.on_slider(gain))
    selection.mirror(box, gain)
    colour = "currentColor" if isinstance(network, str) else figures.colour_of(atlas, network)
    with st.container(border=True, gap="xsmall", key=f"gain_row_{network}"):
        name, number, cross = st.columns([6, 2.6, 1], vertical_alignment="center", gap="xsmall")
        with name:
            st.html(
                f'<div style="border-left:.45rem solid {colour};padding-left:.6rem;font-weight:600;line-height:1.3">'
                f"{escape(_name(atlas, network))}</div>"
            )
        number.number_input(
            "Gain",
            key=box,
            step=0.05,
            format="%.2f",
            label_visibility="collapsed",
            on_change=lambda: state.set_gain(network, float(st.session_state[box])),
        )
        cross.button(
            f"Do not edit {'all networks' if isinstance(network, str) else f'network {network}'}",
            key=f"remove_{network}",
            icon=":material/close:",
            type="tertiary",
            help="Do not edit this network",
            on_click=state.remove,
            args=(network,),
        )
        st.slider(
            "Gain of the network",
            0.0,
            state.SLIDER_TOP,
            step=0.05,
            format="%.2f",
            key=slider,
            label_visibility="collapsed",
            on_change=lambda: state.set_gain(network, float(st.session_state[slider])),
        )
        st.html(_ENDS)


def _from_file(edits) -> None:
    """The edits that a file brought, in place of the rows."""
    with st.container(border=True):
        st.caption("Edits from the library" if selection.current().edits else "Edits from a file")
        for edit in edits:
            offset = f", offset {edit.offset:+g}" if edit.offset else ""
            st.text(f"{edit.name or 'edit'}: {words.count(len(edit.neurons), 'neuron')}, gain {edit.gain:g}{offset}")
        st.button("Back to the sliders", icon=":material/undo:", on_click=state.unload)


def _count(atlas: Atlas) -> str | None:
    """Say how many neurons the edits change; returns the sentence about what is wrong with them."""
    try:
        edits = state.edits(atlas, selection.current().threshold)
    except RequestError as error:
        return str(error)
    edited = len({(edit.site, neuron) for edit in edits for neuron in edit.neurons})
    total = sum(atlas.widths_L)
    st.markdown(f"**{edited:,} of {total:,} neurons** edited ({100 * edited / total:.2f} %)")
    return None


def _run(key: str) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Run",
            key="run_edits",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            disabled=jobs.under_way(intervene_jobs.current(INTERVENTION, key)),
            on_click=submit,
            args=(key,),
        )
        with st.popover("More", width="content"):
            settings.draw()
    st.caption(settings.sentence())


def checked(key: str, networks: Sequence[int] | None = None, controls: int | None = None) -> EditRequest | None:
    """The request that the controls make, or one that inhibits `networks`; None when the page has to say why not."""
    try:
        own = None
        if networks is not None:
            own = (edit_networks(atlases.load(key), networks, selection.current().threshold, gain=0.0),)
        return state.request(key, own, controls)
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)
        return None


def request_or_none(key: str) -> EditRequest | None:
    """What the controls ask for; None where something in them is wrong, which is said beside them."""
    try:
        return state.request(key)
    except RequestError:
        return None


def changed_since(key: str, job: Job | None) -> bool:
    """Whether the controls ask for something else than the job answers."""
    request = request_or_none(key)
    return job is not None and request is not None and request.key() != job.key


def submit(key: str) -> None:
    """Measure the edits in the background; without controls where too few other neurons are left to draw from."""
    request = checked(key)
    if request is None:
        return
    state.keep()

    def compute(loaded: LoadedModel, report: JobReport, publish: Callable[[Intervention], None]) -> Intervention:
        measured = partial(
            intervene, loaded, request.edits, request.yardstick, seed=request.seed, report=report, publish=publish
        )
        try:
            return measured(controls=request.controls)
        except NoControlError:
            return measured(controls=0)

    intervene_jobs.submit(INTERVENTION, request, compute, intervene_jobs.label("Measuring", request))
