"""What a model writes: the prompt with its settings, and the texts of several models side by side."""

from collections.abc import Sequence

import streamlit as st

from dashboard import notices, words
from fnet_core.evaluation.generation import Continuation, Sampling

_START = "The lighthouse keeper climbed the stairs and"
GREEDY, SAMPLING = "Greedy", "Sampling"


def form(prefix: str, models: str, *, tokens: int, busy: bool, submit, args: tuple) -> None:
    """Prompt, greedy or sampling, new tokens and the button, under keys that begin with `prefix`."""
    state = st.session_state
    for name, value in (("prompt", _START), ("tokens", tokens), ("seed", 0), ("temperature", Sampling.temperature)):
        state.setdefault(f"{prefix}_{name}", value)
    st.text_area("Prompt", key=f"{prefix}_prompt", height=80, persist_state="session")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        how = st.segmented_control(
            "How",
            [GREEDY, SAMPLING],
            key=f"{prefix}_how",
            default=GREEDY,
            required=True,
            persist_state="session",
            help=f"Greedy always takes the likeliest token. Sampling draws with the seed, the same for {models}.",
        )
        st.number_input("New tokens", 1, 1024, key=f"{prefix}_tokens", persist_state="session", width=130)
        if how == SAMPLING:
            st.number_input("Seed", min_value=0, key=f"{prefix}_seed", persist_state="session", width=110)
            st.number_input(
                "Temperature", 0.05, 10.0, step=0.05, key=f"{prefix}_temperature", persist_state="session", width=130
            )
        st.button(
            "Write",
            key=f"{prefix}_write",
            type="primary",
            icon=":material/edit_note:",
            disabled=busy,
            on_click=submit,
            args=args,
        )


def asked(prefix: str) -> tuple[str, int, Sampling | None]:
    """The prompt, the number of new tokens and the sampling (None: greedy) that the form says."""
    state = st.session_state
    sampling = None
    if state[f"{prefix}_how"] == SAMPLING:
        sampling = Sampling(int(state[f"{prefix}_seed"]), float(state[f"{prefix}_temperature"]))
    return state[f"{prefix}_prompt"], state[f"{prefix}_tokens"], sampling


def how(sampling: Sampling | None) -> object:
    """How the tokens are chosen, as part of a job's key."""
    return [sampling.seed, sampling.temperature, sampling.top_p] if sampling else "greedy"


def side_by_side(prefix: str, names: Sequence[str], written: Sequence[Continuation], instead: str = "") -> None:
    """One column per name with its text; `instead` is said where none is written, by default that none is yet."""
    texts = (*written, *[None] * (len(names) - len(written)))
    for column, name, found in zip(st.columns(len(names)), names, texts, strict=True):
        with column, st.container(border=True, height="stretch", key=f"{prefix}_text_{name.split()[0].lower()}"):
            st.caption(name)
            if found is None:
                st.caption(words.plain(instead) or "not written yet")
                continue
            ended = "(the model ends the text here)" if found.finite else ""
            st.text(found.text.strip("\n") or (ended if found.done else "…"))
            st.caption(words.count(found.tokens, "token"))
            if not found.finite:
                notices.error("The model's output became infinite here, so it cannot go on.")
