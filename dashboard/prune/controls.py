"""The controls of the Prune page: which model, by which method, how much, and what it is measured by."""

import streamlit as st

from dashboard import selection, texts, words
from dashboard.prune import state
from dashboard.prune.state import AMOUNTS, BUNDLED, HIGHEST, PASTE, TARGET, THRESHOLD
from fnet_core import texts as core_texts
from fnet_core.choices import (
    COMPENSATIONS,
    LAYER_METHODS,
    PUBLISHED_COMPONENTS,
    PUBLISHED_RUN,
    PUBLISHED_THRESHOLD,
    SHARES,
    Share,
)
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.published import CHOICES as PUBLISHED
from fnet_core.pruning.scores import Scores

OF_WHAT = {"neurons": "MLP neurons", "parameters": "parameters"}
"""What a ratio is a share of."""
_COMPENSATION_NAMES = {
    "none": "None",
    "bias": "Bias (mean)",
    "bias-sequential": "Bias, layer after layer",
    "networks": "From the networks",
    "ridge": "Least squares",
    "blend": "Least squares and networks",
}
_AMOUNT_NAMES = {
    "neurons": "share of neurons",
    "parameters": "share of parameters",
    THRESHOLD: "threshold",
    TARGET: "target",
}


def draw() -> None:
    """One row for model and recipe; the rest behind 'More'."""
    with st.container(border=True, key="prune_form", horizontal=True, vertical_alignment="bottom", gap="small"):
        _model()
        _recipe()
        with st.popover("More", width="content"):
            _more()
    if st.session_state["prune_method"] == PUBLISHED["method"]:
        _published()


def _recipe() -> None:
    st.selectbox(
        "Method",
        list(METHODS),
        format_func=lambda name: METHODS[name].title,
        key="prune_method",
        persist_state="session",
        width=210,
        on_change=state.choose_method,
        help="What decides which neurons go.\n\n"
        + "\n".join(f"- **{m.title}**: {m.explanation} Source: {m.source}." for m in METHODS.values()),
    )
    st.selectbox(
        "Compensation",
        list(COMPENSATIONS),
        format_func=_compensation,
        key="prune_compensation",
        persist_state="session",
        width=190,
        help="What stands in for the removed neurons.\n\n"
        + "\n".join(f"- **{_compensation(name)}**: {line}." for name, line in COMPENSATIONS.items()),
    )
    st.selectbox(
        "How much goes, by",
        list(AMOUNTS),
        format_func=lambda name: _AMOUNT_NAMES.get(name, name),
        key="prune_share",
        persist_state="session",
        width=175,
        help="\n".join(f"- **{_AMOUNT_NAMES[name]}**: the ratio is {line}." for name, line in SHARES.items())
        + f"\n- **{_AMOUNT_NAMES[THRESHOLD]}**: all that scores at most so much goes, as in the published form "
        f"with abs(z).\n- **{_AMOUNT_NAMES[TARGET]}**: as much as it takes to reach a size or a speed, or as a "
        "perplexity allows.",
    )


def _published() -> None:
    passages = words.count(len(core_texts.for_networks()), "bundled passage")
    st.toggle(
        "At the scale of its paper",
        key="prune_published",
        persist_state="session",
        on_change=state.publish,
        help=f"As arXiv 2508.05239 ran it: {PUBLISHED_COMPONENTS} networks per layer, from all {passages} in "
        f"runs of about {PUBLISHED_RUN}, and whatever lies within |z| {PUBLISHED_THRESHOLD:g} goes. "
        "Scoring takes several times as long, and the chart's other methods are scored on that text too.",
    )


def _compensation(name: str) -> str:
    return _COMPENSATION_NAMES.get(name, name)


def of_what(share: Share, mixture: bool, method: str = "") -> str:
    """What a ratio is a share of, as people read it; a mixture of experts loses heads alone, or whole layers."""
    if share == "neurons" and method in LAYER_METHODS:
        return "layers"
    return "attention heads" if mixture and share == "neurons" else OF_WHAT[share]


def amount(scores: Scores | None, mixture: bool) -> None:
    """The slider of the ratio, or the threshold with what the scores, if there are any, are like; none for a target."""
    if state.by_target():
        return
    if st.session_state["prune_share"] == THRESHOLD:
        _threshold(scores)
        return
    st.slider(
        f"Remove, of all {of_what(st.session_state['prune_share'], mixture, st.session_state['prune_method'])}",
        0,
        HIGHEST,
        step=1,
        format="%d %%",
        key="prune_percent",
        persist_state="session",
        help="The share that goes. Moving the slider measures the pruned model at once; nothing is changed or saved.",
    )


def _threshold(scores: Scores | None) -> None:
    st.number_input(
        "Remove what scores at most",
        step=0.1,
        format="%.4g",
        key="prune_cutoff",
        persist_state="session",
        help="In the units of the method: abs(z) for the published functional networks. All layers that are not "
        "protected have the same threshold, so they lose unequal shares.",
    )
    if scores is not None:
        low, middle, high = scores.range_mlp
        st.caption(f"The scores run from {low:.3g} to {high:.3g}, half of them below {middle:.3g}.")


def _model() -> None:
    names = state.models()
    chosen = selection.current().model
    selection.mirror("prune_model", chosen)
    st.selectbox(
        "Model",
        names,
        index=0 if chosen else None,
        key="prune_model",
        width=160,
        placeholder="Choose a model",
        on_change=lambda: selection.choose(model=st.session_state["prune_model"], atlas=None, network=0),
        help="Models on this machine; others are added on the Model page.",
    )


def _more() -> None:
    st.markdown("**What may go**")
    st.toggle(
        "Heads too",
        key="prune_heads",
        persist_state="session",
        help="Attention heads go as well, the same share of them as of the neurons, in whole groups where heads share "
        "keys and values.",
    )
    first, last = st.columns(2)
    first.number_input(
        "First layers kept whole",
        0,
        key="prune_first",
        persist_state="session",
        help="Layers nearest to the input that are not touched. The published code protects three.",
    )
    last.number_input(
        "Last layers kept whole",
        0,
        key="prune_last",
        persist_state="session",
        help="Layers nearest to the output that are not touched. The published code protects two.",
    )
    st.toggle(
        "As many from every layer",
        key="prune_even",
        persist_state="session",
        help="The same share of every layer that is not protected, so that all of them end with one width. Otherwise "
        "the method decides how the ratio is spread over the layers.",
    )
    st.markdown("**Calibration**: the text that the scores are computed on")
    source, seed = st.columns([1.6, 1])
    published = state.as_published()
    source.selectbox(
        "Calibration text", [BUNDLED, PASTE], key="prune_source", persist_state="session", disabled=published
    )
    seed.number_input(
        "Seed", 0, key="prune_seed", persist_state="session", help="Where the random draws and the ICA begin."
    )
    if published:
        st.caption("Text and networks per layer are those of the paper's scale, as long as that is on.")
    elif st.session_state["prune_source"] == PASTE:
        texts.paste("prune_pasted", 120)
    st.number_input(
        "Networks per layer",
        1,
        512,
        key="prune_components",
        persist_state="session",
        disabled=published,
        help="Networks (ICA components) that are separated in each layer, by the methods that look for networks.",
    )
    st.markdown("**Yardstick**: the text that perplexity is measured on")
    texts.score_passages("prune_passages", "no score was computed on")
    texts.definition("prune_definition")


def measured_on() -> str:
    """What the yardstick is, in one line."""
    return (
        f"Measured on {words.count(st.session_state['prune_passages'], 'passage')} of the bundled text; 'More' offers "
        f"up to {len(core_texts.bundled('score'))}."
    )
