"""What a plan takes away, before anything is changed: numbers, maps, layers."""

import json
from collections.abc import Callable

import streamlit as st

from dashboard import charts, words
from dashboard.prune.state import Opened
from fnet_core.models.loading import LoadedModel
from fnet_core.plotting import pruning
from fnet_core.pruning.masking import expected_summary
from fnet_core.pruning.plan import PrunePlan
from fnet_core.reporting.bundle import PLAN_KIND
from fnet_core.storage.sealed import sealed


def what_goes(loaded: LoadedModel, plan: PrunePlan) -> None:
    """Parameters, bytes, speed, neurons and heads that stay, each with its change."""
    summary = expected_summary(loaded, plan)
    sizes = (
        ("Parameters", words.parameters, summary["parameters"], "Weights that stay, tied ones counted once."),
        ("Size", words.size, summary["bytes"], f"Of the weights on disk, in {summary['bytes']['dtype']}."),
        *(
            [("MLP neurons", _number, summary["neurons"], "Intermediate units of the MLPs of all layers.")]
            if summary["neurons"]["before"]
            else []
        ),
        ("Heads", _number, summary["heads"], "Query heads of all layers; 'Heads too' lets them go as well."),
    )
    with st.grid(2, min_column_width=150):
        for name, shown, counts, help in sizes:
            _metric(name, shown(counts["after"]), _change(counts, shown), help)
        _metric(
            "Speed, estimated",
            f"x {plan.estimated_speed:.2f}",
            None,
            "Tokens per second over the original's, as multiplications with parameters go; attention is not counted. "
            "The tab 'Speed' measures it.",
        )
        layers = sum(layer["removed_parameters"] > 0 for layer in summary["layers"])
        _metric("Layers cut", f"{layers} of {len(summary['layers'])}", None, "Layers that lose something.")


def of_library(plan: PrunePlan, opened: Opened | None) -> None:
    """Whether the neurons that go are those of the library's plan, whose settings the controls show."""
    if opened is None:
        return
    if plan.recipe()["masks_digest"] == opened.masks_digest:
        st.caption(":material/check: Settings of a plan in the library: the same neurons and heads go.")
    else:
        st.caption(
            ":material/info: Settings of a plan in the library, but other neurons or heads go than when it was kept: "
            "its scores were made by other texts or another version."
        )


def _metric(name: str, value: str, change: str | None, help: str) -> None:
    st.metric(name, value, delta=change, delta_color="off", delta_arrow="off", help=help)


def _number(count: int) -> str:
    return f"{count:,}"


def _change(counts: dict[str, int], shown: Callable[[int], str]) -> str:
    """ "-11.8 % of 135 million", "unchanged"."""
    gone = counts["before"] - counts["after"]
    return f"-{100 * gone / counts['before']:.1f} % of {shown(counts['before'])}" if gone else "unchanged"


def maps(plan: PrunePlan) -> None:
    """The keep and drop map beside what goes by layer, and the heads' map where any go."""
    left, right = st.columns([2.1, 1], gap="medium")
    with right:
        charts.draw(pruning.layer_profile(plan), "prune_layer_profile")
    if not plan.anatomy.neurons_stay:
        with left:
            charts.draw(
                pruning.keep_map(plan),
                "prune_keep_map",
                "Teal bins keep all their neurons, red ones lose all, the faintest lose about half. Protected layers "
                "are teal throughout.",
            )
    if plan.removed_heads:
        with left if plan.anatomy.neurons_stay else st.container():
            charts.draw(
                pruning.head_map(plan),
                "prune_head_map",
                "Teal heads stay, red ones go, in whole groups where heads share keys and values.",
            )
    else:
        st.caption("All attention heads stay; 'Heads too' above lets them go as well.")


def plan_text(plan: PrunePlan) -> str:
    """The plan as JSON: recipe, summary, and the keep-masks packed eight to a byte, in hexadecimal."""
    content = {"kind": PLAN_KIND, "recipe": plan.recipe(), "summary": plan.summary(), "keep": plan.masks()}
    return json.dumps(sealed(content), indent=1, ensure_ascii=False)
