"""Were the two models trained apart? The p-value, which layers match in words, the map, and what p was measured on."""

import streamlit as st

from dashboard import charts, notices, words
from fnet_core.lineage.comparison import Comparison
from fnet_core.plotting import independence as figures

_P_HELP = (
    "How probable so much agreement of neurons is between two models trained apart: the smallest p of all pairs of "
    "layers times their number (Bonferroni), and no smaller than the calibration supports."
)
_ORDER_HELP = (
    "Do neurons of the same number agree more than in random orders? Exact. A small p says that both began from the "
    "same weights and kept the order of their neurons; a large one says nothing."
)


def draw(found: Comparison) -> None:
    """Everything about layers; a sentence where it was not tested."""
    apart = found.independence
    if apart is None:
        notices.info(f"It was not tested whether the two were trained apart: {words.plain(found.untested)}.")
        return
    numbers, said = st.columns([1, 3], gap="medium")
    with numbers:
        st.metric("p, trained apart", ("≤ " if apart.p <= apart.floor else "") + f"{apart.p:.2g}", help=_P_HELP)
        if apart.order_p is not None:
            st.metric("p, same order", f"{apart.order_p:.2g}", help=_ORDER_HELP)
    with said:
        st.markdown(words.plain(apart.sentence))
        st.markdown("\n".join(f"- {words.plain(sentence)}" for sentence in apart.layers_in_words))
    charts.draw(figures.layer_map(apart), "compare_layer_map", figures.LAYER_MAP_NOTE)
    with st.expander("What p was measured on"):
        st.markdown(words.plain(apart.calibration.sentence))
        charts.draw(figures.calibration(apart.form), "compare_calibration", figures.CALIBRATION_NOTE)
