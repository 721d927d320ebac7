"""Choose, check and load a model."""

import streamlit as st

from dashboard import frame, jobs, model_access, model_view, notices, selection, words
from fnet_core.errors import RequestError
from fnet_core.models.cards import ModelCard

_CHECKED = "checked_model"

frame.draw(
    "Model",
    "Choose the language model to look into. The first one needs nothing but a click.",
    model_access.KIND,
)


def load(name: str, accepted: bool = False) -> None:
    """Start loading in the background."""
    jobs.watch(model_access.submit_load(name, accepted))


def check() -> None:
    """Keep the name whose card is asked for."""
    st.session_state[_CHECKED] = st.session_state["model_name"].strip()


def offer(card: ModelCard, recommended: bool = False) -> None:
    """One model as a card with its button."""
    with st.container(border=True, height="stretch", key=f"card_{card.name}"):
        st.subheader(words.plain(card.title), anchor=False)
        st.markdown(words.plain(card.description))
        model_view.badges(card)
        model_view.licence(card)
        model_view.can(card, folded=True)
        st.space("stretch")
        accepted = not card.must_accept
        if card.must_accept:
            accepted = st.checkbox(f"I have read and accept the {card.licence}", key=f"accept_{card.name}")
        if card.name == chosen and not busy:
            st.button("In use", key=f"load_{card.name}", icon=":material/check:", width="stretch", disabled=True)
            return
        st.button(
            f"Load {words.plain(card.name)}",
            key=f"load_{card.name}",
            type="primary" if recommended else "secondary",
            icon=":material/download:" if not card.cached else ":material/play_arrow:",
            width="stretch",
            disabled=busy or not accepted or (card.memory is not None and card.memory.fits == "no"),
            help=None if accepted else "Accept the licence first.",
            on_click=load,
            args=(card.name, card.must_accept),
        )


def in_use(name: str) -> None:
    """The model that the other pages work on."""
    try:
        card = model_access.card_of(name, model_access.roots())
    except RequestError as error:
        notices.error(str(error))
        return
    with st.container(border=True, key="model_in_use"):
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container():
                st.header("In use", anchor=False)
                st.text(card.title if card.title == card.name else f"{card.title} ({card.name})")
            if st.button(
                "Find its networks",
                key="to_networks",
                type="primary",
                icon=":material/arrow_forward:",
                icon_position="right",
            ):
                st.switch_page("pages/networks.py", query_params=selection.parameters())
        model_view.facts(card)
        model_view.memory(card)
        model_view.can(card, folded=True)


chosen = selection.current().model
job = jobs.followed(model_access.KIND)
loaded = jobs.take_result(job)
if loaded:
    if loaded != chosen:
        selection.choose(model=loaded, atlas=None, network=0)
    model_access.cards.clear()
    st.toast(f"{words.plain(loaded)} is ready.", icon=":material/check_circle:")
    st.rerun()
jobs.show(job)
busy = jobs.under_way(job)

if chosen and not busy:
    in_use(chosen)

st.header("Starter models", anchor=False)
st.caption(
    "Small models that need no account and no hub: fetched once, checked against their checksum, converted "
    "and kept on this machine."
)
shown = model_access.cards()
starters = [card for card in shown if card.kind == "starter"]
for column, card in zip(st.columns(len(starters)), starters, strict=True):
    with column:
        offer(card, recommended=card is starters[0] and not chosen)

others = [card for card in shown if card.kind != "starter"]
if others:
    st.header("Other models on this machine", anchor=False)
    with st.grid(3):
        for card in others:
            offer(card)

st.header("Your own model", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.text_input(
        "Repository, folder or .gguf file",
        key="model_name",
        placeholder="owner/model, or the path of a folder with safetensors, or of a .gguf file",
        help="A model of the Hugging Face hub, a folder that save_pretrained made, or a GGUF file. Local "
        "paths are limited to the folders that this server was started with.",
    )
    st.button("Check", key="check_model", icon=":material/fact_check:", on_click=check, disabled=busy)
if name := st.session_state.get(_CHECKED):
    try:
        card = model_access.card_of(name, model_access.roots())
    except RequestError as error:
        notices.error(str(error))
    else:
        offer(card)
        model_view.facts(card)
        model_view.memory(card)
        model_view.can(card)
