"""A comparison as files: the report, the JSON, the table, and both fingerprints."""

import json
import re

import streamlit as st

from dashboard import charts, fingerprints, words
from dashboard import commands as command_lines
from fnet_core.lineage.comparison import Comparison
from fnet_core.reporting.comparison import beyond_the_commands, commands, report_html


def draw(found: Comparison, compared: str) -> None:
    """The downloads, what each is for, and the commands that make them again."""
    stem = f"{_plain(found.a.model.name)}-{_plain(found.b.model.name)}"
    result, published = st.columns(2, gap="large")
    with result:
        st.header("The result", anchor=False)
        st.download_button(
            "Report (HTML)",
            lambda: report_html(found).encode(),
            f"compare-{stem}.html",
            "text/html",
            key="compare_report",
            icon=":material/description:",
            width="stretch",
            on_click="ignore",
            help="One page with verdict, figures, tables and how to make it again. It opens offline, with no server, "
            "and can be sent to anybody.",
        )
        st.download_button(
            "Result (JSON)",
            json.dumps(found.summary(), indent=1, ensure_ascii=False),
            f"compare-{stem}.json",
            "application/json",
            key="compare_json",
            icon=":material/data_object:",
            width="stretch",
            on_click="ignore",
            help="The object that `compare A B --json` prints on the command line.",
        )
        charts.download_csv(
            "Matched networks (CSV)",
            found.table(),
            f"compare-{stem}.csv",
            key="compare_csv",
            icon=":material/table:",
            width="stretch",
            help="The table of matched networks, with labels, key neurons and stability of both.",
        )
    with published:
        st.header("The fingerprints", anchor=False)
        for letter, side, reference in zip("AB", (found.a, found.b), fingerprints.split(compared), strict=True):
            path = fingerprints.path_of(reference)
            st.download_button(
                f"Fingerprint {letter}: {words.plain(side.model.name)} ({words.size(path.stat().st_size)})",
                path.read_bytes,
                f"fingerprint-{_plain(side.model.name)}.safetensors",
                "application/octet-stream",
                key=f"compare_fingerprint_{letter.lower()}",
                icon=":material/fingerprint:",
                width="stretch",
                on_click="ignore",
            )
        st.caption(
            "An owner can publish a fingerprint without the model: it holds how the networks respond to the passages, "
            "the passages, and how it was made, and no weights. Anybody can compare with it here or on the command "
            "line."
        )
    command_lines.draw(commands(found), beyond_the_commands(found))


def _plain(name: str) -> str:
    """A model's name as a part of a file name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
