"""The two sides of the Compare page: a model by name, a saved fingerprint or an uploaded file, each with its card."""

from dataclasses import replace

import streamlit as st

from dashboard import fingerprints, model_access, model_view, notices, selection, words
from dashboard.compare.jobs import Side
from dashboard.fingerprints import FILE, MODEL, SAVED, Header, parse
from fnet_core.choices import SITES, Site
from fnet_core.errors import RequestError
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.models.cards import ModelCard
from fnet_core.models.sources.starter_table import STARTERS
from fnet_core.plotting.lineage import SECOND
from fnet_core.plotting.style import ACCENT, rgba
from fnet_core.reporting.comparison import SIGNATURE_NOTE

COLOURS = {"a": ACCENT, "b": SECOND}
_KINDS = {MODEL: "Model", SAVED: "Saved fingerprint", FILE: "Fingerprint file"}
_LISTED = 100
_SECRET = (
    "It was read on passages that only their owner knows, and holds none of their words. A model compares with it on "
    "the same text and seed alone, given under 'More'."
)


def draw(side: str, settings: FingerprintRequest | None) -> tuple[Side | None, str | None]:
    """One side with its pickers and card; what it asks for, and otherwise what is still missing.

    `settings` is the request but for the model's name; None while the settings mean nothing.
    """
    with st.container(border=True, height="stretch", key=f"compare_side_{side}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(
                f'<div style="border-left:.45rem solid {rgba(COLOURS[side], 1)};padding-left:.7rem;font-size:1.15rem;'
                f'font-weight:600;white-space:nowrap">Model {side.upper()}</div>',
                width="content",
            )
            kind = _kind_picker(side)
        chosen = _chosen(side)
        try:
            match kind:
                case "model":
                    return _model(side, settings, chosen if parse(chosen or "")[0] == MODEL else None)
                case "saved":
                    return _saved(side, chosen if parse(chosen or "")[0] == SAVED else None)
                case _:
                    return _file(side, chosen if parse(chosen or "")[0] == FILE else None)
        except RequestError as error:
            notices.error(str(error))
            return None, f"Model {side.upper()} cannot be used."


def sites() -> tuple[Site, ...]:
    """The sites that the models on both sides have; a fingerprint was taken at its own."""
    models = [value for kind, value in (parse(_chosen(side) or "") for side in COLOURS) if kind == MODEL]
    return tuple(site for site in SITES if all(site in model_access.sites(name) for name in models))


def _chosen(side: str) -> str | None:
    """What the address says, or the model in use for A and another starter for B; a fingerprint at A leaves B's."""
    named = getattr(selection.current(), side)
    if named:
        return named
    first = selection.current().model or next(iter(STARTERS))
    if side == "a":
        return first
    other = selection.current().a
    other = other if other and parse(other)[0] == MODEL else first
    return next((name for name in STARTERS if name != other), None)


def _choose(side: str, value: str | None) -> None:
    selection.choose(**{side: value})


def _kind_picker(side: str) -> str | None:
    """Model, saved fingerprint or file; follows the address when that changes."""
    key, seen = f"compare_kind_{side}", f"compare_seen_{side}"
    named = getattr(selection.current(), side)
    if key not in st.session_state or st.session_state.get(seen) != named:
        st.session_state[seen] = named
        st.session_state[key] = parse(named or "")[0]
    return st.segmented_control(
        f"Model {side.upper()} is",
        list(_KINDS),
        format_func=lambda kind: _KINDS.get(kind, kind),
        key=key,
        required=True,
        wrap=True,
        label_visibility="collapsed",
        persist_state="session",
    )


def _model(side: str, settings: FingerprintRequest | None, chosen: str | None) -> tuple[Side | None, str | None]:
    names = [card.name for card in model_access.cards()]
    key = f"compare_model_{side}"
    selection.mirror(key, chosen)
    st.selectbox(
        "Name",
        names,
        index=None,
        key=key,
        accept_new_options=True,
        placeholder="Choose a model, or type one",
        on_change=lambda: _choose(side, (st.session_state[key] or "").strip() or None),
        help="A model that is here, or type the name of another: owner/model of the Hugging Face hub, a folder with "
        "safetensors, or a .gguf file.",
    )
    if chosen is None:
        return None, f"Choose model {side.upper()}."
    card = model_access.card_of(chosen, model_access.roots())
    _card(card)
    accepted = not card.must_accept
    if card.must_accept:
        accepted = st.checkbox(f"I have read and accept the {card.licence}", key=f"compare_accept_{side}")
    if card.memory is not None and card.memory.fits == "no":
        notices.error(card.memory.sentence)
        return None, f"Model {side.upper()} does not fit on this machine."
    if not accepted:
        return None, f"Accept the licence of model {side.upper()} first."
    if settings is None:
        return None, "Change what is wrong under 'More'."
    request = replace(settings, model=card.name)
    return Side(card.name, None, request, accept_licence=card.must_accept, fetch=not card.cached), None


def _card(card: ModelCard) -> None:
    """A model in three lines: title, state, sizes."""
    st.text(card.title if card.title == card.name else f"{card.title} ({card.name})")
    model_view.badges(card)
    sizes = [
        card.architecture,
        card.layers and words.count(card.layers, "layer"),
        card.width and f"width {card.width:,}",
        card.licence,
    ]
    st.caption(words.plain(" · ".join(size for size in sizes if size)))


def _saved(side: str, chosen: str | None) -> tuple[Side | None, str | None]:
    found, broken = fingerprints.listed(_LISTED)
    for sentence in broken:
        notices.error(sentence)
    if not found and chosen is None:
        st.caption("None yet. The fingerprint of every model that you compare is kept here.")
        return None, f"Choose model {side.upper()}."
    references = list(found) if chosen is None or chosen in found else [chosen, *found]
    key = f"compare_saved_{side}"
    selection.mirror(key, chosen)
    st.selectbox(
        "Fingerprint",
        references,
        index=None,
        key=key,
        format_func=lambda reference: _line(reference, found.get(reference)),
        placeholder="Choose a saved fingerprint",
        on_change=lambda: _choose(side, st.session_state[key]),
        help="Fingerprints that were taken on this machine. They compare at once, without their models.",
    )
    return _fingerprint(side, chosen)


def _line(reference: str, header: Header | None) -> str:
    key = parse(reference)[1][:8]
    if header is None:
        return key
    return f"{header.model.name}: {words.count(header.networks, 'network')}, {header.protocol.get('site', '')} ({key})"


def _file(side: str, chosen: str | None) -> tuple[Side | None, str | None]:
    key, problem = f"compare_upload_{side}", f"compare_problem_{side}"

    def take() -> None:
        st.session_state.pop(problem, None)
        upload = st.session_state[key]
        if upload is None:
            return
        try:
            _choose(side, fingerprints.keep(upload.getvalue(), words.file_name(upload.name)))
        except RequestError as error:
            st.session_state[problem] = str(error)

    st.file_uploader(
        "A fingerprint file",
        type=["safetensors"],
        key=key,
        on_change=take,
        label_visibility="collapsed",
    )
    if sentence := st.session_state.get(problem):
        notices.error(sentence)
        return None, f"The file of model {side.upper()} cannot be used."
    if chosen is None:
        st.caption("Made by 'Save' on this page, or by: python -m fnet_core fingerprint MODEL --out FILE")
    return _fingerprint(side, chosen)


def _fingerprint(side: str, chosen: str | None) -> tuple[Side | None, str | None]:
    """The card of a fingerprint."""
    if chosen is None:
        return None, f"Choose a fingerprint for model {side.upper()}."
    header = fingerprints.header(chosen)
    model = header.model
    st.text(f"{model.name}, weights {model.digest[:12]}")
    with st.container(horizontal=True, gap="xsmall"):
        st.badge(f"{words.parameters(model.parameters)} parameters", color="gray")
        st.badge("compares without the model", icon=":material/fingerprint:", color="green")
        if header.protocol.get("secret"):
            st.badge("secret probes", icon=":material/lock:", color="violet", help=_SECRET)
        if header.signature:
            st.badge("signed", icon=":material/signature:", color="blue", help=SIGNATURE_NOTE)
    st.caption(
        words.plain(
            f"{model.family} · {words.count(model.layers, 'layer')} · width {model.width:,} · "
            f"{words.count(header.networks, 'network')} on {words.count(header.passages, 'passage')}"
        )
    )
    if header.signature:
        sentence = header.signature.sentence
        st.caption(words.plain(f"{sentence[0].upper()}{sentence[1:]}."))
    return Side(model.name, chosen, None), None
