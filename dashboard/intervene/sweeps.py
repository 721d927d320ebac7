"""The two longer measurements: one network at many gains, and every network in turn."""

from dataclasses import dataclass
from functools import partial

import streamlit as st

from dashboard import charts, jobs, notices, selection, words
from dashboard.intervene import controls, state
from dashboard.intervene import jobs as intervene_jobs
from dashboard.intervene.jobs import DOSES, RANKING
from dashboard.jobs import Outcome
from fnet_core.interventions import tables
from fnet_core.interventions.sweeps import GAINS, Dose, dose_response, rank_networks
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import interventions, networks

_NETWORK = "dose_network"
_CONTROLS_PER_DOSE = 3


@dataclass(frozen=True)
class Curve:
    """The doses of one network so far."""

    network: int
    doses: tuple[Dose, ...]


def doses(key: str, atlas: Atlas) -> None:
    """Pick a network, measure it at gains from 0 to 2, and see the curve grow."""
    job = intervene_jobs.current(DOSES, key)
    rows = [network for network in state.gains() if network != state.ALL]
    preferred = rows[0] if rows else selection.current().network
    st.session_state.setdefault(_NETWORK, preferred)
    if st.session_state[_NETWORK] not in range(len(atlas)):
        st.session_state[_NETWORK] = preferred
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Network",
            range(len(atlas)),
            key=_NETWORK,
            format_func=lambda network: f"{network} · {atlas.named[network]}",
            persist_state="session",
        )
        jobs.start_button("Measure the curve", "measure_doses", "show_chart", job, _submit_doses, key, atlas)
    if jobs.under_way(job):
        jobs.live_result(job.id, partial(_dose_figure, atlas))
        return
    intervene_jobs.ended(job)
    if found := jobs.outcome(job):
        _dose_figure(atlas, found)
    else:
        st.caption(
            f"Perplexity at {len(GAINS)} gains from 0 to 2, beside {_CONTROLS_PER_DOSE} random controls of the same "
            "size: does a little less already hurt, does a little more help?"
        )


def _submit_doses(key: str, atlas: Atlas) -> None:
    network = st.session_state[_NETWORK]
    request = controls.checked(key, [network], _CONTROLS_PER_DOSE)
    if request is None:
        return

    def compute(loaded: LoadedModel, report: JobReport, publish) -> Curve:
        doses = dose_response(
            loaded,
            request.edits[0],
            request.yardstick,
            controls=request.controls,
            seed=request.seed,
            report=report,
            publish=lambda doses: publish(Curve(network, doses)),
        )
        return Curve(network, doses)

    intervene_jobs.submit(DOSES, request, compute, f"Measuring network {network} at {len(GAINS)} gains")


def _dose_figure(atlas: Atlas, outcome: Outcome) -> None:
    curve: Curve = outcome.value
    colour = networks.colour_of(atlas, curve.network)
    figure = interventions.dose_response(curve.doses, f"network {curve.network}", colour)
    charts.draw(
        figure,
        "dose_figure",
        "The line is the network, the dashes are the median of random neurons of the same number in the same layers, "
        "the band is their range. All meet at gain 1, where nothing is changed.",
    )
    broken = [f"{dose.gain:g}" for dose in curve.doses if not dose.measured.edited.finite]
    if broken:
        notices.error(f"The model's output became infinite at gain {', '.join(broken)}; this is left out.")


def ranking(key: str, atlas: Atlas) -> None:
    """Inhibit each network in turn; the map of their importance grows while it goes on."""
    job = intervene_jobs.current(RANKING, key)
    with st.container(horizontal=True, vertical_alignment="center"):
        jobs.start_button(
            "Go on" if job and job.state in ("cancelled", "failed") else "Rank all networks",
            "rank_networks",
            "leaderboard",
            job,
            _submit_ranking,
            key,
            atlas,
        )
        st.caption(
            f"Inhibits each of the {words.count(len(atlas), 'network')} alone, beside one random control, and sorts by "
            "damage. What is measured is kept: after Cancel it goes on from there."
        )
    if jobs.under_way(job):
        jobs.live_result(job.id, partial(_ranking_figure, atlas))
        return
    intervene_jobs.ended(job)
    if found := jobs.outcome(job):
        _ranking_figure(atlas, found)


def _submit_ranking(key: str, atlas: Atlas) -> None:
    if request := controls.checked(key, range(len(atlas)), 1):
        intervene_jobs.submit(
            RANKING,
            request,
            lambda loaded, report, publish: rank_networks(
                loaded,
                atlas,
                request.yardstick,
                threshold=request.threshold,
                controls=request.controls,
                seed=request.seed,
                report=report,
                publish=publish,
            ),
            f"Ranking {words.count(len(atlas), 'network')} of {request.model}",
        )


def _ranking_figure(atlas: Atlas, outcome: Outcome) -> None:
    charts.draw(
        interventions.importance(outcome.value, partial(networks.colour_of, atlas)),
        "importance_figure",
        "How many times the untouched perplexity it becomes when a network is inhibited, each in its colour; circles "
        "are as many random neurons in the same layers.",
    )
    st.dataframe(
        tables.ranking_table(outcome.value),
        key="ranking_table",
        hide_index=True,
        height=420,
        column_config=charts.network_columns()
        | {
            "inhibited": st.column_config.NumberColumn("Inhibited", format="%.1f", help="Perplexity at gain 0."),
            "control": st.column_config.NumberColumn("Control", format="%.1f", help="Random neurons at 0."),
            "ratio": st.column_config.NumberColumn("Ratio", format="%.2f", help="Inhibited over untouched perplexity."),
            "control_ratio": st.column_config.NumberColumn("Control ratio", format="%.2f"),
        },
        alt="Networks by the damage that inhibiting them does",
    )
