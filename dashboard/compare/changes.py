"""What changed between the two models: networks, layers, and, with both models at hand, where in a text they part."""

from dataclasses import dataclass

import streamlit as st

from dashboard import charts, coloured_text, jobs, model_access, notices, selection, words
from dashboard.fingerprints import MODEL, parse
from fnet_core import texts
from fnet_core.jobs import JobReport
from fnet_core.lineage.changes import GONE, Changes, changes_of
from fnet_core.lineage.comparison import Comparison
from fnet_core.lineage.parting import Parting, parting
from fnet_core.models.loading import get_loaded
from fnet_core.plotting import changes as figures

KIND = "parting"
_STRONGEST = 0.5
"""Bits from which on the colour is full."""
_PASSAGE = "compare_parting_passage"
_STAGES = {"loading": 2.0, "reading": 6.0}


@dataclass(frozen=True)
class Parted:
    """Where two models part."""

    a: str
    b: str
    passages: tuple[Parting, ...]


def draw(found: Comparison) -> None:
    """Networks, layers and the text."""
    if found.same_model:
        notices.info("Both sides are one and the same model, so nothing changed.")
        return
    if found.outcome == "independent":
        notices.info(
            "The two were trained apart, so there is nothing that changed from one to the other; what follows only "
            "says what they do not have in common."
        )
    changes = changes_of(found)
    st.markdown("\n".join(f"- {words.plain(sentence)}" for sentence in changes.sentences()))
    _networks(changes)
    charts.draw(figures.layers_moved(changes), "compare_moved_figure", figures.LAYERS_NOTE)
    st.header("Where they part in the text", anchor=False)
    _text(found)


def _networks(changes: Changes) -> None:
    st.dataframe(
        changes.networks(),
        hide_index=True,
        height=280,
        column_config={
            "what": st.column_config.TextColumn("What became of it", width="small"),
            "network_a": st.column_config.NumberColumn("A", width="small"),
            "network_b": st.column_config.NumberColumn("B", width="small"),
            "agreement": st.column_config.NumberColumn(
                "Agreement",
                format="%.2f",
                width="small",
                help="abs(partial Spearman): of a lost or gained network with the best of the other model's, of a "
                f"changed one with its partner. Below {GONE:g} a network has no partner.",
            ),
            "label": st.column_config.TextColumn("Its strongest words"),
        },
    )


def _text(found: Comparison) -> None:
    names = [parse(side or "") for side in (selection.current().a, selection.current().b)]
    if any(kind != MODEL or not name for kind, name in names):
        notices.info("This takes both models, not their fingerprints: choose them as models above, and compare.")
        return
    a, b = (name for _, name in names)
    job = jobs.remembered(KIND)
    job = job if job and job.key == f"{a},{b}" else None
    if job is None or job.state != "done":
        st.button(
            "Read the passages with both",
            key="compare_parting_run",
            icon=":material/difference:",
            disabled=jobs.under_way(job),
            on_click=_submit,
            args=(a, b),
            help="Both models predict every token of the 24 passages to score on; the further their predictions lie "
            "apart, the redder the token. It needs one tokenizer.",
        )
        jobs.show(job)
        return
    _draw_text(job.result)


def _submit(a: str, b: str) -> None:
    allowed = model_access.roots()

    def work(report: JobReport) -> Parted:
        one, other = (get_loaded(name, roots=allowed, report=report) for name in (a, b))
        return Parted(a, b, parting(one, other, texts.bundled("score"), report))

    jobs.watch(jobs.queue(KIND, f"{a},{b}", work, f"Reading with {a} and {b}", stages=_STAGES))


def _draw_text(parted: Parted) -> None:
    if st.session_state.get(_PASSAGE) not in range(len(parted.passages)):
        st.session_state[_PASSAGE] = 0
    at = st.selectbox(
        "Passage, the one where they part most first",
        range(len(parted.passages)),
        key=_PASSAGE,
        format_func=lambda i: f"{parted.passages[i].passage.name} · {parted.passages[i].mean:.3f} bits a token",
        persist_state="session",
    )
    chosen = parted.passages[at]
    bits = chosen.bits_T.tolist()

    def paint(number: int, piece: str) -> str:
        if bits[number] != bits[number]:
            return piece
        return coloured_text.span(piece, f"{bits[number]:.2f} bits", coloured_text.shade(bits[number], _STRONGEST))

    with st.container(border=True, key="compare_parting_text"):
        st.html(coloured_text.painted(chosen.passage.text, chosen.offsets_T2, paint))
    st.caption(
        "Red where the models predict the token differently: Jensen-Shannon divergence of their next-token "
        f"distributions in bits, full colour from {_STRONGEST:g} on. Point at a token for the number."
    )
