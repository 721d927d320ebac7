"""The controls that ask for an atlas, and the job that makes it."""

from dataclasses import asdict

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import atlases, jobs, model_access, selection, texts
from fnet_core.choices import CONTRASTS, MOST_PASSAGES, SCOPES, SITES, site_title
from fnet_core.errors import RequestError
from fnet_core.jobs import Job, JobReport
from fnet_core.networks.atlas import KIND, Atlas
from fnet_core.networks.request import STAGES, AtlasRequest
from fnet_core.storage import artifacts

PROBLEM = "request_problem"
_SCOPE_NAMES = {"model": "All layers", "layer": "Each layer", "window:3": "Windows of 3"}
_MODEL_WIDTH, _TEXT_WIDTH, _SITE_WIDTH = 160, 175, 155
_FOLDED = "other_networks"
_DEFAULTS = {
    name: getattr(AtlasRequest, name)
    for name in ("site", "scope", "components", "seed", "restarts", "contrast", "enough")
}


def draw(busy: bool, folded: bool = False) -> None:
    """The row of controls with the button that starts the work.

    Where networks are shown they are `folded` into a line, and drawn once somebody opens it: the models to choose from
    are read with libraries that take seconds to load.
    """
    for name, value in _DEFAULTS.items():
        st.session_state.setdefault(name, value)
    if not folded:
        _controls(st.container(border=True), busy)
        return
    line = st.expander("Find other networks", icon=":material/hub:", key=_FOLDED, on_change="rerun")
    if line.open:
        _controls(line, busy)


def _controls(where: DeltaGenerator, busy: bool) -> None:
    with where:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            _model_picker()
            source = texts.kind_picker(_TEXT_WIDTH)
            _site()
            st.number_input(
                "Networks",
                1,
                512,
                key="components",
                persist_state="session",
                width=90,
                help="How many networks to separate (ICA components). More gives finer ones, fewer coarser ones.",
            )
            with st.popover("More", width="content"):
                st.toggle(
                    "Only as many passages as it takes",
                    key="enough",
                    persist_state="session",
                    help="The model reads 24, 48, 96, ... passages, and each time the networks are held against each "
                    "other in two halves of them. It stops once half of the networks are trusted and agree, or twice "
                    f"the text adds nothing, at {MOST_PASSAGES} passages at the latest.",
                )
                if source == texts.BUNDLED:
                    texts.passage_count()
                _advanced()
            st.button(
                "Find networks",
                key="find_networks",
                type="primary",
                icon=":material/hub:",
                width="content",
                disabled=busy,
                on_click=submit,
            )
        texts.details(source)


def _site() -> None:
    sites = model_access.sites(selection.current().model or st.session_state["request_model"])
    if st.session_state["site"] not in sites:
        st.session_state["site"] = AtlasRequest.site if AtlasRequest.site in sites else sites[0]
    st.selectbox(
        "Site",
        sites,
        format_func=site_title,
        key="site",
        persist_state="session",
        width=_SITE_WIDTH,
        help="Which activations are read.\n\n" + "\n".join(f"- {SITES[name]}" for name in sites),
    )


def _model_picker() -> None:
    chosen = selection.current().model
    names = [card.name for card in model_access.cards()]
    if chosen and chosen not in names:
        names.insert(0, chosen)
    selection.mirror("request_model", chosen or names[0])
    st.selectbox(
        "Model",
        names,
        key="request_model",
        width=_MODEL_WIDTH,
        on_change=lambda: selection.choose(model=st.session_state["request_model"]),
        help="Models that are here or can be fetched at once; others are added on the Model page.",
    )


def _advanced() -> None:
    st.selectbox(
        "Scope",
        list(SCOPES),
        format_func=lambda name: _SCOPE_NAMES.get(name, name),
        key="scope",
        persist_state="session",
        help="\n".join(f"- {_SCOPE_NAMES[name]}: {line}" for name, line in SCOPES.items()),
    )
    st.number_input(
        "Seed",
        min_value=0,
        key="seed",
        persist_state="session",
        help="Where the random starts begin. The same seed gives the same networks.",
    )
    st.number_input(
        "Restarts",
        2,
        100,
        key="restarts",
        persist_state="session",
        help="How often the separation is repeated from another start; a network's stability is how well the "
        "repeats agree.",
    )
    st.selectbox(
        "Contrast",
        list(CONTRASTS),
        key="contrast",
        persist_state="session",
        help="The function by which ICA tells signals from noise. Keep cube unless the networks are unstable.",
    )


def submit() -> None:
    """Start the job that the controls describe, or keep the sentence that says what is wrong."""
    state = st.session_state
    state.pop(PROBLEM, None)
    try:
        request = AtlasRequest(
            model=state["request_model"],
            passages=texts.chosen()[: MOST_PASSAGES if state["enough"] else None],
            site=state["site"],
            scope=state["scope"],
            components=state["components"],
            seed=state["seed"],
            restarts=state["restarts"],
            contrast=state["contrast"],
            enough=state["enough"],
        )
    except RequestError as error:
        state[PROBLEM] = str(error)
        return
    jobs.watch(_submit(request))


def _submit(request: AtlasRequest) -> Job:
    allowed = model_access.roots()

    def work(report: JobReport) -> str:
        from fnet_core.networks.finding import find_atlas

        def publish(atlas: Atlas) -> None:
            report.publish(atlases.hold(atlas))

        return str(find_atlas(request, report, publish=publish, roots=allowed).path)

    def kept() -> str | None:
        from fnet_core.networks.finding import kept_atlas

        found = kept_atlas(request, roots=allowed)
        return str(found.path) if found else None

    label = f"Finding networks of {request.model}"
    return jobs.queue(KIND, artifacts.digest(asdict(request)), work, label, stages=STAGES, kept=kept)
