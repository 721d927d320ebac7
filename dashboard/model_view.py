"""Cards of models: what one is, what it needs, whether it fits."""

from typing import Literal

import streamlit as st

from dashboard import notices, words
from fnet_core.abilities import Said, abilities, told
from fnet_core.models.cards import ModelCard

_FITS: dict[str, tuple[str, str, Literal["green", "orange", "red"]]] = {
    "device": ("fits", ":material/check_circle:", "green"),
    "offload": ("fits with offloading", ":material/hourglass_top:", "orange"),
    "no": ("does not fit", ":material/error:", "red"),
}


def badges(card: ModelCard) -> None:
    """Licence, size and state of a model in one row."""
    with st.container(horizontal=True, gap="xsmall"):
        if card.parameters:
            st.badge(f"{words.parameters(card.parameters)} parameters", color="gray")
        if card.cached:
            st.badge("on this machine", icon=":material/check:", color="green")
        elif card.download_bytes:
            st.badge(f"{words.size(card.download_bytes)} to fetch", icon=":material/download:", color="blue")
        if card.memory:
            label, icon, colour = _FITS[card.memory.fits]
            st.badge(label, icon=icon, color=colour, help=card.memory.sentence)


def licence(card: ModelCard) -> None:
    """The licence, linked when its address is known."""
    name = words.plain(card.licence or "licence not stated")
    st.caption(f"Licence: [{name}]({card.licence_url})" if card.licence_url else f"Licence: {name}")


def facts(card: ModelCard) -> None:
    """The numbers of a model in a row; what is unknown is left out."""
    rows = [
        ("Architecture", card.architecture, "The family of the model, as its configuration names it."),
        ("Layers", card.layers, "Decoder layers, numbered from 0 at the input."),
        ("MLP neurons per layer", card.mlp_width, "Intermediate units of each layer's MLP: site mlp."),
        ("Attention heads per layer", card.heads, "Query heads of each layer: site heads."),
        ("Width", card.width, "Numbers in the residual stream per token: sites residual and mlp_out."),
        ("Parameters", card.parameters and words.parameters(card.parameters), "All weights, tied ones once."),
        ("Context", card.context, "Tokens that the model was made to read at once."),
        (
            "Runs on",
            f"{card.memory.device}, {card.memory.dtype}" if card.memory else None,
            "The device, and the kind of number that the weights are kept in.",
        ),
    ]
    known = [row for row in rows if row[1]]
    with st.grid(4, min_column_width=150):
        for name, value, help in known:
            st.metric(name, f"{value:,}" if isinstance(value, int) else value, help=help)


def memory(card: ModelCard) -> None:
    """Whether the model fits, as a sentence with the numbers."""
    if card.memory is None:
        return
    if card.memory.fits == "no":
        notices.error(card.memory.sentence)
    else:
        st.caption(f":material/memory: {card.memory.sentence}")


@st.cache_data(max_entries=64, show_spinner=False)
def _told(configuration: str, _card: ModelCard) -> tuple[Said, ...]:
    return told(abilities(_card.config, _card.name)) if _card.config else ()


def can(card: ModelCard, folded: bool = False) -> None:
    """What works with a model and what does not, told from its configuration alone; `folded` behind a button."""
    if card.config is None:
        st.caption("What works with it is known once it is converted, or its base is on this machine.")
        return
    lines = []
    for line in _told(card.config.to_json_string(use_diff=False), card):
        icon = ":green[:material/check_circle:]" if line.works else ":gray[:material/do_not_disturb_on:]"
        title = line.title[0].upper() + line.title[1:]
        lines.append(f"{icon} **{title}**: {'' if line.works else 'no. '}{words.plain(line.text)}")
    name, icon = "What works with it", ":material/checklist:"
    with st.popover(name, icon=icon, width="stretch") if folded else st.expander(name, icon=icon, expanded=True):
        st.markdown("  \n".join(lines))
