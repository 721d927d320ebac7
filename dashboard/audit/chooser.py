"""Which models an audit is of: models by name, fingerprints that were taken here, and uploaded files."""

import streamlit as st

from dashboard import fingerprints, model_access, notices, selection, words
from dashboard.audit.jobs import Chosen
from fnet_core.errors import RequestError
from fnet_core.models.cards import ModelCard

MODELS, SAVED, UPLOADED = "audit_models", "audit_saved", "audit_upload"
_FILES, _PROBLEM = "audit_files", "audit_file_problem"
_LISTED = 200


def draw() -> tuple[list[Chosen], bool, str]:
    """The pickers; what is chosen, whether a licence was accepted for it, and what is still missing, in a sentence."""
    cards = {card.name: card for card in model_access.cards()}
    headers, broken = fingerprints.listed(_LISTED)
    for sentence in broken:
        notices.error(sentence)
    models, files = st.columns(2, gap="medium")
    with models, st.container(border=True, height="stretch"):
        names = _models(cards)
        accepted, unaccepted = _licences([cards[name] for name in names if name in cards])
    # a file may have gone since it was chosen
    st.session_state[SAVED] = [reference for reference in st.session_state.get(SAVED, []) if reference in headers]
    with files, st.container(border=True, height="stretch"):
        st.multiselect(
            "Saved fingerprints",
            list(headers),
            key=SAVED,
            format_func=lambda reference: _line(headers, reference),
            placeholder="Choose fingerprints that were taken here",
            persist_state="session",
            help="They compare at once, without their models. All must have been taken with the same settings.",
        )
        _uploads()
    uploaded: dict[str, str] = st.session_state.get(_FILES, {})
    chosen = [Chosen(name) for name in names]
    chosen += [Chosen(headers[reference].model.name, reference) for reference in st.session_state[SAVED]]
    chosen += [Chosen(name, reference) for reference, name in uploaded.items()]
    if unaccepted:
        return chosen, accepted, f"Accept the licence of {words.plain(', '.join(unaccepted))} first."
    if len(chosen) < 2:
        return chosen, accepted, "Choose two models or fingerprints, or more."
    return chosen, accepted, ""


def _models(cards: dict[str, ModelCard]) -> list[str]:
    if MODELS not in st.session_state:
        own = selection.current().model
        st.session_state[MODELS] = [own] if own in cards else []
    st.multiselect(
        "Models",
        list(cards),
        key=MODELS,
        accept_new_options=True,
        placeholder="Choose models, or type one",
        persist_state="session",
        help="Models that are here, or type the name of another: owner/model of the Hugging Face hub, a folder with "
        "safetensors, or a .gguf file. Each is fingerprinted once, with the default settings, and kept.",
    )
    return [name.strip() for name in st.session_state[MODELS] if name.strip()]


def _licences(cards: list[ModelCard]) -> tuple[bool, list[str]]:
    """Whether licences were accepted here, and the models whose licence is still to be."""
    asking = [card for card in cards if card.must_accept]
    if not asking:
        return False, []
    listed = ", ".join(f"{card.licence} ({card.name})" for card in asking)
    accepted = st.checkbox(f"I have read and accept: {words.plain(listed)}", key="audit_accept")
    return accepted, [] if accepted else [card.name for card in asking]


def _line(headers: dict[str, fingerprints.Header], reference: str) -> str:
    name = headers[reference].model.name
    one = sum(header.model.name == name for header in headers.values()) == 1
    return name if one else f"{name} ({fingerprints.parse(reference)[1][:8]})"


def _uploads() -> None:
    st.file_uploader(
        "Fingerprint files",
        type=["safetensors"],
        key=UPLOADED,
        accept_multiple_files=True,
        on_change=_take,
        help="Made by 'Save' on the Compare page, or by: fnet fingerprint MODEL --out FILE",
    )
    for sentence in st.session_state.get(_PROBLEM, []):
        notices.error(sentence)


def _take() -> None:
    kept, problems = {}, []
    for upload in st.session_state[UPLOADED]:
        try:
            reference = fingerprints.keep(upload.getvalue(), words.file_name(upload.name))
            kept[reference] = fingerprints.header(reference).model.name
        except RequestError as error:
            problems.append(str(error))
    st.session_state[_FILES], st.session_state[_PROBLEM] = kept, problems
