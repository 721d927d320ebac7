"""Where the text comes from: the bundled passages, an uploaded file, pasted text, or a dataset of the hub."""

import streamlit as st

from dashboard import words
from fnet_core import texts
from fnet_core.checks import check_range
from fnet_core.choices import DEFINITIONS
from fnet_core.errors import RequestError

BUNDLED, UPLOAD, PASTE, DATASET = "Bundled passages", "Text file", "Pasted text", "Hub dataset"
_CUT = f"It is cut into passages of about {texts.WORDS_PER_PASSAGE} words, shorter ones where the model needs them."


def kind_picker(width: int) -> str:
    """The selectbox of sources, so many pixels wide."""
    return st.selectbox(
        "Text",
        [BUNDLED, UPLOAD, PASTE, DATASET],
        key="text_source",
        width=width,
        persist_state="session",
        help="The text that the model reads while its neurons are recorded. The bundled set has short "
        "passages of many kinds: stories, dialogue, news, law, code, arithmetic. More and more varied text "
        "gives more reliable networks.",
    )


def passage_count() -> None:
    """How many of the bundled passages to read."""
    most = len(texts.for_networks())
    st.session_state.setdefault("passages", most)
    st.slider(
        "Passages",
        1,
        most,
        key="passages",
        persist_state="session",
        help="The first so many of the bundled passages. Fewer is quicker, more is more reliable.",
    )


def details(kind: str) -> None:
    """What a text of one's own needs: the file, or the text."""
    if kind == UPLOAD:
        st.file_uploader("Text file (UTF-8)", type=["txt", "md", "text"], key="text_upload")
    elif kind == PASTE:
        paste("text_pasted", 160, f"Paste at least a page of text. {_CUT}")
    elif kind == DATASET:
        st.text_input(
            "Dataset of the Hugging Face hub",
            key="text_dataset",
            persist_state="session",
            placeholder="owner/name, or owner/name:configuration",
            help=f"Its first {texts.DATASET_PASSAGES} passages of the split test are read, when the hub is reachable.",
        )


def paste(key: str, height: int, hint: str = _CUT) -> None:
    """The box for a text of one's own."""
    st.text_area("Your text", key=key, height=height, persist_state="session", placeholder=hint)


def score_passages(key: str, apart_from: str) -> None:
    """How many bundled passages to measure on; `apart_from` says what was never done on them."""
    st.slider(
        "Passages to measure on",
        1,
        len(texts.bundled("score")),
        key=key,
        persist_state="session",
        help=f"The first so many of the bundled passages that {apart_from}. More narrows the interval and takes "
        "longer.",
    )


def definition(key: str) -> None:
    """Per what perplexity is counted."""
    st.selectbox(
        "Perplexity per",
        list(DEFINITIONS),
        key=key,
        persist_state="session",
        help="\n".join(f"- {name}: {line}" for name, line in DEFINITIONS.items()),
    )


def _named_dataset(name: str) -> tuple[texts.Passage, ...]:
    if not name.strip():
        raise RequestError("No dataset was named; write the owner/name of a text dataset, or use the bundled passages.")
    return texts.from_dataset(name.strip())


def chosen() -> tuple[texts.Passage, ...]:
    """The passages that the widgets name; `RequestError` when there are none or the file is not text."""
    match st.session_state.get("text_source", BUNDLED):
        case str() as kind if kind == UPLOAD:
            return _uploaded(st.session_state.get("text_upload"))
        case str() as kind if kind == PASTE:
            return texts.from_text(st.session_state.get("text_pasted", ""))
        case str() as kind if kind == DATASET:
            return _named_dataset(st.session_state.get("text_dataset", ""))
    passages = texts.for_networks()
    wanted = st.session_state.get("passages", len(passages))
    check_range(wanted, 1, len(passages), f"{wanted} passages are", f"choose 1 to {len(passages)}")
    return passages[:wanted]


def _uploaded(upload) -> tuple[texts.Passage, ...]:
    if upload is None:
        raise RequestError("No text file was uploaded yet; choose one, or use the bundled passages.")
    return texts.from_bytes(upload.getvalue(), words.file_name(upload.name))
