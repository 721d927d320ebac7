"""What a comparison found: the verdict with its reasons, the score among known pairs, and the views below."""

from typing import Literal

import streamlit as st

from dashboard import charts, notices, words
from dashboard.compare import changes, export, layers, networks
from fnet_core.lineage.comparison import Comparison
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.verdict import INTERVAL_NOTE
from fnet_core.plotting import lineage as figures
from fnet_core.reporting.comparison import HEADLINES, NO_PROOF, SIGNATURE_NOTE

_OUTCOMES: dict[str, tuple[str, Literal["red", "blue", "gray"]]] = {
    "derived": (":material/family_history:", "red"),
    "independent": (":material/call_split:", "blue"),
    "inconclusive": (":material/help:", "gray"),
    "same model": (":material/content_copy:", "gray"),
}
_SECOND_OPINIONS = (
    "These do not enter the verdict: both are known to call independent models related. They are here because people "
    "ask for them, and because a disagreement is worth knowing. They look at other things than the networks do, the "
    "spread of weights and the directions with the most variance, which models of one design share without a common "
    "origin, and which a rescaling or a dropped layer changes without touching what the networks do."
)
_CURVES_HELP = (
    "Each curve is the standard deviation of one kind of attention weights, layer by layer, less its mean and divided "
    "by its own spread; the shorter model's curve is stretched to the same depth. r is Pearson's correlation of the "
    "two curves, 1 when they have the same shape."
)
_CKA_HELP = (
    "Linear centred kernel alignment (Kornblith et al. 2019) of the residual streams of two layers at the same 200 or "
    "so places in the text. Related models often show a strong diagonal; a strong block everywhere says little."
)


def draw(found: Comparison, compared: str, stale: bool, busy: bool) -> None:
    """Verdict beside the score, then the tabs; only the open one is drawn.

    `stale` when this is not what the page asks for now, `busy` while a comparison is being made.
    """
    if stale and busy:
        st.caption(":material/history: This is the comparison before; the new one takes its place when it is done.")
    elif stale:
        st.caption(":material/edit: What is asked for above was changed since; press 'Compare' to compare that.")
    _warnings(found)
    verdict, score = st.columns([10, 11], gap="medium")
    with verdict:
        _verdict(found)
    with score:
        _score(found)
    views = {
        "Matched networks": lambda: networks.matched(found),
        "Layers": lambda: layers.draw(found),
        "What changed": lambda: changes.draw(found),
        "Matrix": lambda: networks.matrix(found),
        "Second opinions": lambda: _second_opinions(found),
        "Save": lambda: export.draw(found, compared),
    }
    for tab, view in zip(st.tabs(list(views), key="compare_view", on_change="rerun"), views.values(), strict=True):
        if tab.open:
            with tab:
                view()


def _warnings(found: Comparison) -> None:
    if found.same_model:
        notices.info(
            "Both sides are one and the same model: the same weights and tokenizer, given twice. Its networks match "
            "themselves, which says nothing about a second model."
        )
    for side in {found.a.model.digest: found.a, found.b.model.digest: found.b}.values():
        if not side.reads_probes:
            notices.info(
                f"{side.model.name} hardly reads the language of the passages: it needs {side.bits_per_byte:.2f} bits "
                f"per byte, a file compressor {side.compressor_bits_per_byte:.2f}. Its networks say little here, so "
                "there is no verdict. Compare on texts in a language that both models read, under 'More'.",
                icon=":material/translate:",
            )


def _verdict(found: Comparison) -> None:
    verdict = found.verdict
    icon, colour = _OUTCOMES[found.outcome]
    with st.container(border=True, height="stretch", key="compare_verdict"):
        st.badge(found.outcome, icon=icon, color=colour, help=_OUTCOME_HELP)
        st.header(HEADLINES[found.outcome], anchor=False)
        st.text(f"{_called(found.a)} compared with {_called(found.b)}")
        if found.a.signature or found.b.signature:
            said = (f"{letter}: {side.signed_sentence}." for letter, side in (("A", found.a), ("B", found.b)))
            st.caption(words.plain(" ".join(said)), help=SIGNATURE_NOTE)
        st.markdown(words.plain(verdict.statement))
        st.markdown("\n".join(f"- {words.plain(sentence)}" for sentence in verdict.decisive))
        if verdict.advice and not found.same_model:
            st.markdown("**What would change it**\n" + "\n".join(f"- {words.plain(line)}" for line in verdict.advice))
        st.caption(NO_PROOF)


_OUTCOME_HELP = (
    "- derived: the whole interval of the score lies with the pairs known to be derived, and the independence test "
    "contradicts that the two were trained apart\n"
    "- independent: the interval lies with the pairs known to be independent, or fits neither kind, and the test has "
    "nothing against it\n"
    "- inconclusive: anything else, whenever fingerprint and test disagree or something is in doubt"
)


def _called(side: Fingerprint) -> str:
    """A model with the beginning of its weights' digest: two may have one name."""
    return f"{side.model.name} ({side.model.digest[:8]})"


def _score(found: Comparison) -> None:
    with st.grid(4, min_column_width=110, gap="small"):
        st.metric(
            "Score",
            f"{found.score:.2f}",
            help="How well the matched networks of both models agree, from 0 to 1: the mean over one-to-one matched "
            "pairs of networks of abs(partial Spearman), the rank correlation of their signals along the text beyond "
            "what its surface explains: characters, words, their counts and places, which models agree in whatever "
            f"their origin. With the surface left in: {found.plain_score:.2f}.",
        )
        st.metric(
            "95 % interval",
            "{:.2f} to {:.2f}".format(*found.interval) if found.interval else "none",
            help="The range that the score keeps to when the passages are drawn again and again from those read. "
            f"{INTERVAL_NOTE}",
        )
        st.metric(
            "Mismatched text",
            f"≤ {max(found.null_scores):.2f}" if found.null_scores else "none",
            help="The null: the same score when each passage of one model is held against another passage of the "
            "other. What agrees here agrees whatever the text says, so it should be near 0. A score that is not "
            "clearly above it means nothing.",
        )
        st.metric(
            "Strongest pair",
            f"{found.values_M[0]:.2f}",
            help="abs(partial Spearman) of the best matched pair. Single strong pairs occur between independent models "
            "too, so the mean decides. Counted as published (arXiv 2601.22692): "
            f"{words.count(found.published, 'pair')} above 0.5.",
        )
    charts.draw(figures.score_on_reference(found), "compare_score_figure", _score_caption(found))


def _score_caption(found: Comparison) -> str:
    left = [
        f"{len(out)} of {words.plain(side.model.name)}"
        for side, out in ((found.a, found.left_out_a), (found.b, found.left_out_b))
        if out
    ]
    parts = [
        f"{words.count(len(found.values_M), 'matched pair')} of networks on "
        f"{words.count(len(found.a.passages), 'passage')}."
    ]
    if left:
        parts.append(f"Left out, because they give no signal: {' and '.join(left)}.")
    return " ".join([*parts, words.plain(figures.score_note(found))])


def _second_opinions(found: Comparison) -> None:
    st.markdown("\n".join(f"- {words.plain(opinion.sentence)}" for opinion in found.verdict.second_opinions))
    st.caption(_SECOND_OPINIONS)
    st.header("Attention-weight curves", anchor=False, help=_CURVES_HELP)
    charts.draw(figures.untitled(figures.weight_curves(found), 60), "compare_curves_figure")
    notices.info(figures.CURVES_NOTE, icon=":material/warning:")
    st.header("Layers against layers", anchor=False, help=_CKA_HELP)
    charts.draw(figures.untitled(figures.layer_similarity(found), 16), "compare_layers_figure", figures.LAYERS_NOTE)
