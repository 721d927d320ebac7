"""An audit as one HTML page that opens offline: plotly's script stands in it once, nothing is fetched."""

from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fnet_core.lineage.audit import Audit
from fnet_core.plotting import audit as figures
from fnet_core.reporting.comparison import NO_PROOF, TEMPLATES, figure_html
from fnet_core.storage.artifacts import atomic_file

MOST_STATEMENTS = 200
"""Pairs whose statement is written out; the table has all."""


def save_report(audit: Audit, path: Path) -> None:
    """Write the report, whole or not at all; RequestError if the disk refuses."""
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(report_html(audit), encoding="utf-8")


def report_html(audit: Audit) -> str:
    """The report as HTML: families in words, matrix, tree, all pairs with their statements, the models."""
    models = audit.models()
    related = [pair for pair in audit.pairs if pair.basis or pair.outcome == "inconclusive"]
    return TEMPLATES.get_template("audit.html.jinja").render(
        count=len(audit.subjects),
        pairs=len(audit.pairs),
        failures=audit.failures,
        sentences=audit.sentences(),
        correction=audit.correction,
        no_proof=NO_PROOF,
        plotly=Markup(get_plotlyjs()),
        matrix=figure_html(figures.matrix(audit)),
        matrix_note=figures.MATRIX_NOTE,
        tree=figure_html(figures.tree(audit)) if audit.families else None,
        tree_note=figures.TREE_NOTE,
        columns=list(audit.table().columns),
        rows=[[_shown(value) for value in row] for row in audit.table().itertuples(index=False)],
        model_columns=list(models.columns),
        models=[[_shown(value) for value in row] for row in models.itertuples(index=False)],
        statements=[
            (audit.labels[pair.a], audit.labels[pair.b], pair.verdict.statement)
            for pair in related[:MOST_STATEMENTS]
            if pair.verdict
        ],
        left_out=max(0, len(related) - MOST_STATEMENTS),
        seed=audit.seed,
        resamples=audit.resamples,
    )


def _shown(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 0.001 else f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)
