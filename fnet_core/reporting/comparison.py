"""A comparison as one HTML page that opens offline: plotly's script stands in it once, nothing is fetched."""

import shlex
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fnet_core.choices import RESAMPLES
from fnet_core.lineage.comparison import NOT_ASKED, Comparison
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.verdict import INTERVAL_NOTE
from fnet_core.plotting import independence as independence_figures
from fnet_core.plotting import lineage as figures
from fnet_core.storage.artifacts import atomic_file

SHOWN_SIGNALS = 3
"""How many of the strongest matched pairs are drawn over the text."""

HEADLINES = {
    "derived": "Evidence that one derives from the other",
    "independent": "Evidence that they were trained independently",
    "inconclusive": "No verdict: the evidence is not enough",
    "same model": "The same model, given twice",
}
"""What each outcome of a comparison means."""
SIGNATURE_NOTE = (
    "A signature says that nobody changed the file since the holder of that key signed it. It does not say who that "
    "is, that the fingerprint is of the model it names, or that the time is true: a forger can sign a forgery with a "
    "key of their own. Hold the key's fingerprint against one that its owner published."
)
"""For readers of a signature."""
NO_PROOF = (
    "This is evidence from what the models do on these passages, not proof, and it does not say who took what from "
    "whom."
)

_PLACES = (
    "Models and texts stand here by their own names: where one is a folder or a file, write its place. The digest of "
    "the weights says whether it is the same model."
)

TEMPLATES = Environment(
    loader=PackageLoader("fnet_core.reporting"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
"""The templates of all reports."""


def save_report(comparison: Comparison, path: Path) -> None:
    """Write the report, whole or not at all; RequestError if the disk refuses."""
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(report_html(comparison), encoding="utf-8")


def report_html(comparison: Comparison) -> str:
    """The report as HTML: verdict, reasons, figures, matched networks, both models and how to make it again."""
    a, b = comparison.a, comparison.b
    reference, nulls = comparison.reference, comparison.null_scores
    return TEMPLATES.get_template("comparison.html.jinja").render(
        a=a.model.name,
        b=b.model.name,
        plotly=Markup(get_plotlyjs()),
        verdict=comparison.verdict,
        outcome=comparison.outcome,
        headline=HEADLINES[comparison.outcome],
        score=comparison.score,
        plain_score=comparison.plain_score,
        interval=comparison.interval,
        interval_note=INTERVAL_NOTE,
        no_proof=NO_PROOF,
        signature_note=SIGNATURE_NOTE if a.signature or b.signature else "",
        pairs=len(comparison.values_M),
        passages=len(a.passages),
        reference_command=reference.command if reference else None,
        score_note=figures.score_note(comparison) if reference else None,
        left_out_a=len(comparison.left_out_a),
        left_out_b=len(comparison.left_out_b),
        mean_null=sum(nulls) / len(nulls) if nulls else None,
        published=comparison.published,
        matched=list(comparison.table().itertuples()),
        plots=_plots(comparison),
        apart=comparison.independence,
        untested=comparison.untested,
        layer_notes=independence_figures,
        notes=figures,
        cards=[_card(a), _card(b)],
        commands=commands(comparison),
        beyond_the_commands=beyond_the_commands(comparison),
        protocol_digest=a.protocol_digest,
        protocol=sorted(a.protocol.items()),
    )


def _plots(comparison: Comparison) -> dict[str, Any]:
    """Every figure of the report, as HTML."""
    shown = range(min(SHOWN_SIGNALS, len(comparison.values_M)))
    apart = comparison.independence
    tested = {}
    if apart:
        tested["layer_map"] = figure_html(independence_figures.layer_map(apart))
        tested["calibration"] = figure_html(independence_figures.calibration(apart.form))
    return tested | {
        "score": figure_html(figures.untitled(figures.score_on_reference(comparison), 28)),
        "signals": [figure_html(figures.matched_signals(comparison, pair)) for pair in shown],
        "matrix": figure_html(figures.matrix(comparison)),
        "curves": figure_html(figures.weight_curves(comparison)),
        "layers": figure_html(figures.layer_similarity(comparison)),
    }


def figure_html(figure: go.Figure) -> Markup:
    """A figure without plotly's script; plotly escapes what stands in it."""
    config = {"displaylogo": False, "responsive": True}
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=config))


def _card(side: Fingerprint) -> dict[str, Any]:
    """What the report says of one model: its name, and rows of a name and a value."""
    model = side.model
    reading = "not measured" if side.bits_per_byte is None else f"{side.bits_per_byte:.2f}"
    rows = {
        "architecture": model.family,
        "layers, width": f"{model.layers}, {model.width:,}",
        "parameters": f"{model.parameters:,}",
        "numbers": model.dtype,
        "weights digest": model.digest,
        "bits per byte on the passages": f"{reading} (bzip2: {side.compressor_bits_per_byte:.2f})",
        "fingerprint digest": side.content_digest(),
        "signature": side.signed_sentence,
        "made with": ", ".join(f"{name} {number}" for name, number in sorted(side.recipe["versions"].items())),
    }
    return {"name": model.name, "rows": list(rows.items())}


def fingerprint_command(side: Fingerprint, out: str) -> str:
    """The command that makes a fingerprint again, as far as there is one, see `beyond_the_command`."""
    protocol = side.protocol
    # a name that starts with a dash would be read as an option
    name = f"./{side.model.name}" if side.model.name.startswith("-") else side.model.name
    words = [name, "--site", protocol["site"], "--components", str(protocol["components"])]
    words += ["--threshold", f"{protocol['threshold']:g}"]
    if side.is_secret:
        words += ["--text=FILE", "--probes=SEED"]
    for split, sources in zip(("find", "score"), side.recipe["texts"], strict=True):
        if sources != [f"bundled/{split}"] and not side.is_secret:
            words.append(f"--{split}={_text_file(sources) or 'FILE'}")
    words += ["--seed", str(side.recipe["seed"]), "--out", out]
    return "python -m fnet_core fingerprint " + shlex.join(words)


def _text_file(sources: list[str]) -> str | None:
    """The name of the text file that passages were cut from; None if they came from anywhere else."""
    (only, *more) = sources or [""]
    return only.removeprefix("file ") if only.startswith("file ") and not more else None


def beyond_the_command(side: Fingerprint) -> list[str]:
    """What `fingerprint_command` cannot say of a fingerprint, as sentences."""
    found = []
    if side.is_secret:
        found.append("The probes are secret: who keeps the text and the seed writes them in place of FILE and SEED.")
    for split, sources in zip(("find", "score"), side.recipe["texts"], strict=True):
        if side.is_secret:
            continue
        if sources != [f"bundled/{split}"] and _text_file(sources) is None:
            named = ", ".join(sources) or "nowhere in particular"
            found.append(
                f"The passages for --{split} of {side.model.name} came from {named}; the command line reads text files "
                "alone, so save them as one in place of FILE."
            )
    if (signal := side.protocol.get("signal", "weighted")) != "weighted":
        found.append(
            f"The signal of {side.model.name} is '{signal}', which the command line cannot ask for; in Python: "
            f"fnet_core.lineage.taking.FingerprintRequest(..., signal={signal!r})."
        )
    return found


def commands(comparison: Comparison) -> list[str]:
    """The commands that make a comparison again, see `beyond_the_commands`."""
    resamples = f" --resamples {comparison.resamples}" if comparison.resamples != RESAMPLES else ""
    alone = " --fingerprint-only" if comparison.untested == NOT_ASKED else ""
    return [
        fingerprint_command(comparison.a, "a.safetensors"),
        fingerprint_command(comparison.b, "b.safetensors"),
        f"python -m fnet_core compare a.safetensors b.safetensors --seed {comparison.seed}{resamples}{alone} "
        "--report report.html",
    ]


def beyond_the_commands(comparison: Comparison) -> list[str]:
    """What `commands` cannot say of a comparison, as sentences."""
    return [*dict.fromkeys([*beyond_the_command(comparison.a), *beyond_the_command(comparison.b)]), _PLACES]
