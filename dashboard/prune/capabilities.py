"""What the pruned model can still do: its accuracy in every capability beside the original's."""

from typing import Any

import streamlit as st

from dashboard import charts, jobs
from dashboard.jobs import Outcome
from dashboard.prune import jobs as prune_jobs
from dashboard.prune.jobs import CAPABILITIES
from dashboard.prune.state import PruneRequest
from fnet_core.capability.battery import Battery, make_battery
from fnet_core.capability.comparing import known_rows, side_by_side
from fnet_core.capability.profiles import profile
from fnet_core.capability.statistics import LEVEL
from fnet_core.jobs import JobReport
from fnet_core.models.loading import LoadedModel
from fnet_core.plotting import capabilities as figures
from fnet_core.progress import part_of
from fnet_core.pruning.masking import Pruning, masking
from fnet_core.pruning.methods import METHODS

ITEMS = 50


def battery() -> Battery:
    """What both models are asked."""
    return make_battery(ITEMS)


def rows_for_card(loaded: LoadedModel, pruning: Pruning) -> list[dict[str, Any]]:
    """What the card of an export says of capabilities: nothing unless they were measured."""
    return known_rows(loaded, battery(), pruning.changes)


def draw(request: PruneRequest) -> None:
    """The button that asks both models, and what they answered."""
    job = prune_jobs.asked(CAPABILITIES, request.model)
    with st.container(horizontal=True, vertical_alignment="center"):
        jobs.start_button("Measure the capabilities", "prune_capabilities", "fact_check", job, _submit, request)
        st.caption(
            f"Asks the original and the pruned model {ITEMS} items of each capability: agreement, induction, sums and "
            "more. The card of an export states them once they are measured."
        )
    prune_jobs.show(job, lambda outcome: _answers(request, outcome))


def _submit(request: PruneRequest) -> None:
    def compute(loaded: LoadedModel, report: JobReport, publish) -> Any:
        pruning = prune_jobs.prepared(loaded, request, report)
        before = profile(loaded, battery(), report=part_of(report, 0, 2, "asking"))
        after = profile(
            loaded, battery(), pruning.changes, lambda: masking(loaded, pruning), part_of(report, 1, 2, "asking")
        )
        return side_by_side(before, after)

    prune_jobs.ask(CAPABILITIES, request, compute, f"Asking {request.model}", "capabilities")


def _answers(request: PruneRequest, outcome: Outcome) -> None:
    tried, table = outcome.request, outcome.value
    stale = ". :material/edit: The controls were changed since; press the button for what they say now."
    st.caption(f"{METHODS[tried.plan.method].title}, {tried.amount}" + (stale if tried.key() != request.key() else ""))
    lost = table[table["q"] < LEVEL]
    st.markdown(
        f"**{len(lost)} of {len(table)} capabilities suffer** (exact sign tests over {ITEMS} items each, at most "
        f"{LEVEL:.0%} false discoveries)" + (": " + ", ".join(lost["title"].str.lower()) if len(lost) else "") + "."
    )
    charts.draw(
        figures.before_after(table),
        "prune_capabilities_figure",
        "Share of items answered right, of two continuations one; the dotted line is chance. A line reaches from the "
        "original to the pruned model.",
    )
    charts.download_csv("Table (CSV)", table, "capabilities-before-and-after.csv")
