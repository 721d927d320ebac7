"""Compare two models by their functional network fingerprints: derived, independent or inconclusive."""

import streamlit as st

from dashboard import fingerprints, frame, jobs, notices, selection
from dashboard.compare import jobs as compare_jobs
from dashboard.compare import results
from dashboard.compare import settings as compare_settings
from dashboard.compare import sides as compare_sides
from dashboard.compare.jobs import Side
from fnet_core.errors import RequestError
from fnet_core.lineage.comparison import Comparison
from fnet_core.lineage.taking import FingerprintRequest

_PROBLEM = "compare_problem"


def shown() -> Comparison | None:
    """The comparison in the address; a sentence when it cannot be made."""
    compared = selection.current().compared
    if not compared:
        return None
    try:
        return fingerprints.comparison(compared)
    except RequestError as error:
        notices.error(str(error))
        return None


def submit(sides: tuple[Side, Side]) -> None:
    """Compare two fingerprints at once; measure first what is not measured yet."""
    selection.choose(a=sides[0].reference or sides[0].name, b=sides[1].reference or sides[1].name)
    try:
        compare_jobs.check(sides)
    except RequestError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    if sides[0].reference and sides[1].reference:
        show(fingerprints.pair(sides[0].reference, sides[1].reference))
    else:
        compare_jobs.submit(sides)


def show(compared: str) -> None:
    """Put a comparison on the page."""
    selection.choose(compared=compared, pair=0, job=None)


frame.draw(
    "Compare",
    "Does one model derive from the other? Their networks are matched by how they respond to the same text.",
    compare_jobs.KIND,
)
followed = compare_jobs.current(None)
if compared := jobs.take_result(followed):
    show(compared)
found = shown()
running = followed.partial if followed and not found else None
sites = compare_sides.sites()
compare_settings.start(found.a.protocol if found else running.protocol if running else None, sites)
settings: FingerprintRequest | None = None
try:
    settings = compare_settings.request()
except RequestError as error:
    st.session_state[_PROBLEM] = str(error)

sides: list[Side] = []
missing: list[str] = []
for column, side in zip(st.columns(2, gap="medium"), ("a", "b"), strict=True):
    with column:
        wanted, lack = compare_sides.draw(side, settings)
    sides += [wanted] if wanted else []
    missing += [lack] if lack else []
asked = None if missing else (sides[0], sides[1])
job = compare_jobs.current(asked)
busy = jobs.under_way(job)

with st.container(horizontal=True, vertical_alignment="center", gap="small"):
    st.button(
        "Compare",
        key="compare_run",
        type="primary",
        icon=":material/compare_arrows:",
        width=130,
        disabled=busy or asked is None,
        on_click=submit,
        args=(asked,),
    )
    with st.popover("More", width="content"):
        compare_settings.draw(sites)
    st.caption(compare_jobs.plan(asked, compare_settings.sentence()) if asked else " ".join(dict.fromkeys(missing)))
if sentence := st.session_state.pop(_PROBLEM, None):
    notices.error(sentence)
compare_jobs.show(job)

compared = selection.current().compared
if found and compared:
    stale = asked is not None and not compare_jobs.answered(found, compared, asked)
    results.draw(found, compared, stale, busy)
elif not busy and not compared:
    notices.info(
        "Press 'Compare': each model reads the same 48 passages, about a minute each for the starters. What was "
        "measured before is there at once. The verdict, the matched networks and their signals appear here.",
        icon=":material/compare_arrows:",
    )
