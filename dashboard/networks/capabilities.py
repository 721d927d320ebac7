"""Which network each capability needs: the matrix of lesions, its dissociations, and the run that measures it."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from dashboard import atlases, charts, jobs, kept, notices, selection, words
from dashboard.jobs import Outcome
from dashboard.networks import ranking
from fnet_core.capability.battery import Battery, make_battery
from fnet_core.capability.dissociations import sentences
from fnet_core.capability.lesions import KIND, LESIONS, LesionMatrix, LesionRequest, lesion_recipe, lesions
from fnet_core.capability.statistics import LEVEL
from fnet_core.choices import ITEMS, LESION_DRAWS
from fnet_core.errors import RequestError
from fnet_core.jobs import Job, JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.example import EXAMPLE
from fnet_core.plotting import capabilities as figures
from fnet_core.reporting.stored import bundled_lesions
from fnet_core.storage import artifacts
from fnet_core.time_left import LESIONS as LESION_STAGES

GAINS = {"Inhibit": 0.0, "x1.25": 1.25, "x1.5": 1.5, "x2": 2.0}
SIZES = (20, 50, ITEMS)
LISTED = 200
_GAIN, _ITEMS, _DRAWS = "lesion_gain", "lesion_items", "lesion_draws"
_FIGURE, _TABLE, _PROBLEM = "lesion_matrix", "lesion_table", "lesion_problem"


@dataclass(frozen=True)
class MatrixRequest:
    """The matrix of an atlas that is asked for."""

    model: str
    atlas: str
    items: int
    lesion: LesionRequest

    @property
    def key(self) -> str:
        """The digest of all that decides it, behind the atlas's key."""
        lesion = self.lesion
        asked = [self.items, lesion.threshold, lesion.gain, lesion.draws, lesion.seed]
        return f"{self.atlas}:{artifacts.digest(asked)}"


def draw(atlas: Atlas, network: int, threshold: float) -> None:
    """The controls, and the matrix: from the store, or as far as it is measured."""
    key = selection.current().atlas
    if key is None:
        return
    _controls(key, atlas, threshold)
    request = _request(key, atlas, threshold)
    if sentence := st.session_state.pop(_PROBLEM, None):
        notices.error(sentence)
    job = _job(request.key)
    if jobs.under_way(job):
        jobs.live_result(job.id, partial(_running, atlas, network))
        return
    jobs.ended(job, "was cancelled; what was measured is kept, and Measure goes on from there.")
    try:
        found = kept.answer(LESIONS, _recipe(request.key, request))
    except RequestError as error:
        notices.error(str(error))
        return
    if found:
        _matrix(atlas, network, found)
    elif bundled := _bundled(key, request.lesion):
        settings = bundled.recipe
        st.caption(
            f"This matrix comes with FNet: {words.count(settings['asked']['items'], 'item')} per capability, "
            f"{words.count(settings['draws'], 'random lesion')}. Nothing had to be measured."
        )
        _matrix(atlas, network, bundled)
    elif job is None:
        st.caption(
            "Each network is changed alone, and the model is asked again: subject and verb, induction, closing quotes, "
            "sums and more, pairs of which one is right. Where that does something, as many random neurons of "
            "the same layers are changed alike. Press 'Measure'; it takes minutes to an hour, and what is measured is "
            "kept."
        )


@st.cache_resource(max_entries=1, show_spinner=False)
def _of_example() -> LesionMatrix | None:
    return bundled_lesions(atlases.load(EXAMPLE))


def _bundled(key: str, asked: LesionRequest) -> LesionMatrix | None:
    """The matrix that comes with the project, where its networks are shown and this change of them is asked for."""
    found = _of_example() if key == EXAMPLE else None
    same = found is not None and (found.gain, found.recipe["threshold"]) == (asked.gain, asked.threshold)
    return found if same else None


def _controls(key: str, atlas: Atlas, threshold: float) -> None:
    state = st.session_state
    for name, value in ((_GAIN, "Inhibit"), (_ITEMS, SIZES[0]), (_DRAWS, LESION_DRAWS)):
        state.setdefault(name, value)
    job = _job(_request(key, atlas, threshold).key)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.segmented_control(
            "Each network",
            list(GAINS),
            key=_GAIN,
            required=True,
            persist_state="session",
            help="Inhibit: its key neurons are silenced. x1.5: they are multiplied by 1.5, to see whether that helps.",
        )
        st.selectbox(
            "Items",
            SIZES,
            key=_ITEMS,
            width=100,
            persist_state="session",
            help="Minimal pairs per capability. More find smaller changes and take longer.",
        )
        st.number_input(
            "Random lesions",
            1,
            20,
            key=_DRAWS,
            width=130,
            persist_state="session",
            help="Sets of as many random neurons in the same layers. A cell is marked where the network does more than "
            "every one of them.",
        )
        jobs.start_button("Measure", "measure_lesions", "play_arrow", job, _submit, key, atlas, threshold)


def _request(key: str, atlas: Atlas, threshold: float) -> MatrixRequest:
    state = st.session_state
    lesion = LesionRequest(threshold, GAINS[state[_GAIN]], state[_DRAWS])
    return MatrixRequest(selection.current().model or atlas.model_name, key, state[_ITEMS], lesion)


def _job(key: str) -> Job | None:
    """The session's own job, if it answers this request."""
    job = jobs.remembered(KIND)
    return job if job and job.key == key else None


def _battery(request: MatrixRequest) -> Battery:
    return make_battery(request.items, request.lesion.seed)


@st.cache_data(max_entries=64, show_spinner=False)
def _recipe(asked: str, _request: MatrixRequest) -> dict[str, Any] | None:
    """Kept, since all key neurons of all networks are in it."""
    return lesion_recipe(atlases.load(_request.atlas), _battery(_request), _request.lesion)


def _submit(key: str, atlas: Atlas, threshold: float) -> None:
    request = _request(key, atlas, threshold)
    try:
        request.lesion.edits(atlas)
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)
        return

    def compute(loaded: LoadedModel, report: JobReport, publish) -> LesionMatrix:
        return lesions(loaded, atlas, _battery(request), request.lesion, report, publish)

    verb = "Inhibiting" if request.lesion.gain == 0 else "Amplifying"
    label = f"{verb} each of {words.count(len(atlas), 'network')} of {request.model}"
    jobs.watch(jobs.submit(KIND, request.key, request, compute, label, stages=LESION_STAGES))


def _running(atlas: Atlas, network: int, outcome: Outcome) -> None:
    found: LesionMatrix = outcome.value
    st.caption(f"After {len(found.networks)} of {words.count(found.total, 'network')}.")
    charts.draw(figures.matrix(found, network), "lesion_matrix_so_far")


def _matrix(atlas: Atlas, network: int, found: LesionMatrix) -> None:
    """The heat map with what it says; a click on a cell or a row selects the network."""
    for sentence in sentences(found):
        st.markdown(words.plain(sentence))
    charts.draw(figures.matrix(found, network), _FIGURE, on_select=_cell_picked)
    items = words.count(found.recipe["asked"]["items"], "item")
    st.caption(
        f"Accuracy less that of the untouched model, {items} per capability; blue is a loss, red a gain. A dot marks a "
        f"change beyond the untouched model and all of {words.count(found.random_KMI.shape[1], 'random lesion')} "
        f"(exact sign tests over the items), with at most {LEVEL:.0%} false discoveries among the dots. Click a cell: "
        "its network is selected above."
    )
    rows = found.table()
    ranking.draw(
        rows.head(LISTED)[
            ["network", "label", "title", "untouched", "changed", "random", "change", "low", "high", "q"]
        ],
        _TABLE,
        {
            "title": st.column_config.TextColumn("Capability"),
            "untouched": st.column_config.NumberColumn("Untouched", format="%.2f", help="Accuracy; chance is 0.5."),
            "changed": st.column_config.NumberColumn("Changed", format="%.2f", help="With the network changed."),
            "random": st.column_config.NumberColumn(
                "Random", format="%.2f", help="Median of the random lesions, where any were needed."
            ),
            "change": st.column_config.NumberColumn("Change", format="%+.2f", help="Against the untouched model."),
            "low": st.column_config.NumberColumn("from", format="%+.2f", help="95 % interval of the change, paired."),
            "high": st.column_config.NumberColumn("to", format="%+.2f"),
            "q": st.column_config.NumberColumn("q", format="%.2g", help="p adjusted over the whole matrix."),
        },
        "Networks and capabilities, the surest changes first",
    )
    charts.download_csv("Table (CSV)", rows, f"{atlases.file_stem(atlas)}-lesions.csv")


def _cell_picked() -> None:
    points = st.session_state[_FIGURE].selection.points
    if points:
        selection.choose(network=int(points[0]["y"]))
