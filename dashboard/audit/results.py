"""What an audit found: families in words, the matrix that opens a pair, the tree, all pairs, models, downloads."""

import json
import shlex

import streamlit as st

from dashboard import charts, commands, fingerprints, notices, selection, words
from dashboard.audit.kept import Members
from fnet_core.lineage.audit import Audit
from fnet_core.plotting import audit as figures
from fnet_core.plotting.lineage import untitled
from fnet_core.reporting.audit import report_html
from fnet_core.reporting.comparison import NO_PROOF
from fnet_core.reporting.recipes import PLACES, PROGRAM

MATRIX, TABLE, _OPEN = "audit_matrix", "audit_table", "audit_open"

_COLUMNS = {
    "a": st.column_config.TextColumn("One model", width="medium"),
    "b": st.column_config.TextColumn("Other model", width="medium"),
    "outcome": st.column_config.TextColumn("Verdict", width=105),
    "score": st.column_config.NumberColumn(
        "Score", format="%.2f", help="How well the matched networks of both agree, from 0 to 1."
    ),
    "p": st.column_config.NumberColumn(
        "p", format="%.2g", help="Independence test, no smaller than the calibration supports."
    ),
    "holm_p": st.column_config.NumberColumn(
        "p, corrected", format="%.2g", help="The same after Holm's correction for all pairs that were tested."
    ),
    "holm_nominal_p": st.column_config.NumberColumn(
        "p of the formula, corrected",
        format="%.2g",
        help="What the formula gives, corrected in the same way; it goes below what was measured, and is not supported "
        "there.",
    ),
    "matched": st.column_config.NumberColumn("Layers that match"),
    "layers": st.column_config.NumberColumn("of"),
    "family": st.column_config.NumberColumn("Family", help="The number of the family, where both are in one."),
}


def draw(found: Audit, members: Members) -> None:
    """Numbers and words on top, then the tabs; only the open one is drawn."""
    if pair := st.session_state.pop(_OPEN, None):
        _compare(members, *pair)
    _head(found)
    views = {
        "Matrix": lambda: _matrix(found),
        "Families": lambda: _families(found),
        "Pairs": lambda: _pairs(found),
        "Models": lambda: _models(found),
        "Save": lambda: _save(found),
    }
    for tab, view in zip(st.tabs(list(views), key="audit_view", on_change="rerun"), views.values(), strict=True):
        if tab.open:
            with tab:
                view()


def _head(found: Audit) -> None:
    related = sum(pair.basis is not None for pair in found.pairs)
    with st.grid(4, min_column_width=110, gap="small"):
        st.metric("Models", len(found.subjects), help="That could be read and were compared.")
        st.metric("Pairs", f"{len(found.pairs):,}")
        st.metric("Families", len(found.families), help="Groups of models that descend from a common one.")
        st.metric("Related pairs", f"{related:,}", help="By verdict, or by the independence test alone.")
    lines = found.headlines()
    with st.container(border=True, key="audit_words"):
        st.markdown("\n".join(f"- {words.plain(sentence)}" for sentence in lines[:_SHOWN]))
        if len(lines) > _SHOWN:
            with st.expander(f"{len(lines) - _SHOWN} more"):
                st.markdown("\n".join(f"- {words.plain(sentence)}" for sentence in lines[_SHOWN:]))
    for failure in found.failures:
        notices.error(f"{failure.label} could not be read, and the others were compared without it: {failure.why}")


_SHOWN = 8
"""Sentences before the rest is folded in."""


def _matrix(found: Audit) -> None:
    charts.draw(
        untitled(figures.matrix(found), 30),
        MATRIX,
        f"Click on a cell to open the pair on the Compare page. {figures.MATRIX_NOTE}",
        on_select=_clicked,
    )
    st.caption(words.plain(f"{found.correction} {NO_PROOF}"))


def _clicked() -> None:
    points = st.session_state[MATRIX]["selection"]["points"]
    if points and "customdata" in points[0]:
        st.session_state[_OPEN] = tuple(points[0]["customdata"][:2])


def _families(found: Audit) -> None:
    if not found.families:
        notices.info("No two of these models are shown to be related, so there is no tree to draw.")
        return
    charts.draw(untitled(figures.tree(found), 10), "audit_tree", figures.TREE_NOTE)
    st.markdown("\n".join(f"- {words.plain(sentence)}" for sentence in found.sentences()))


def _pairs(found: Audit) -> None:
    places = [found.pairs.index(pair) for pair in found.ranked]
    table = found.table().iloc[places]
    st.caption(
        f"{words.count(len(table), 'pair')}, related ones first. Select one to open it; sort by a column's head."
    )
    picked = st.dataframe(
        table[list(_COLUMNS)],
        key=TABLE,
        hide_index=True,
        column_config=_COLUMNS,
        on_select="rerun",
        selection_mode="single-row",
        alt="All pairs of models with verdict, score and p-values",
    )
    rows = picked["selection"]["rows"]
    pair = found.ranked[rows[0]] if rows and rows[0] < len(found.ranked) else None
    if pair:
        st.markdown(words.plain(pair.verdict.statement if pair.verdict else pair.why))
    st.button(
        "Open in Compare",
        key="audit_open_pair",
        icon=":material/compare_arrows:",
        disabled=pair is None or pair.evidence is None,
        on_click=lambda: st.session_state.update({_OPEN: (pair.a, pair.b)}) if pair else None,
    )


def _models(found: Audit) -> None:
    st.dataframe(
        found.models(),
        hide_index=True,
        column_config={
            "label": st.column_config.TextColumn("Model", width="medium"),
            "state": st.column_config.TextColumn("State", width="large"),
            "parameters": st.column_config.NumberColumn("Parameters", format="localized"),
        },
        alt="The models of the audit",
    )


def _save(found: Audit) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Report (HTML)",
            lambda: report_html(found).encode(),
            "audit.html",
            "text/html",
            key="audit_report",
            icon=":material/description:",
            on_click="ignore",
            help="One page with families, matrix, tree, every pair and its p-values. It opens offline.",
        )
        st.download_button(
            "Result (JSON)",
            json.dumps(found.summary(), indent=1, ensure_ascii=False),
            "audit.json",
            "application/json",
            key="audit_json",
            icon=":material/data_object:",
            on_click="ignore",
            help="The object that `fnet audit MODELS --json` prints.",
        )
        charts.download_csv("Pairs (CSV)", found.table(), "audit.csv", key="audit_csv", icon=":material/table:")
    names = shlex.join(found.labels)
    commands.draw([f"{PROGRAM} audit {names} --html audit.html"], [PLACES])


def _compare(members: Members, a: int, b: int) -> None:
    """Open a pair on the Compare page."""
    first, second = members.references[a], members.references[b]
    selection.choose(a=first, b=second, compared=fingerprints.pair(first, second), pair=0, job=None)
    st.switch_page("pages/compare.py")
