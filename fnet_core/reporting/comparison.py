"""A comparison as one HTML page that opens offline: plotly's script stands in it once, nothing is fetched."""

import shlex
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from fnet_core.choices import RESAMPLES
from fnet_core.lineage.comparison import Comparison
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.verdict import INTERVAL_NOTE
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
NO_PROOF = (
    "This is evidence from what the models do on these passages, not proof, and it does not say who took what from "
    "whom."
)

_PLACES = (
    "Models and texts stand here by their own names: where one is a folder or a file, write its place. The digest of "
    "the weights says whether it is the same model."
)

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; color: #1f2933;
  background: #ffffff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.verdict { border-left: 6px solid #808890; padding: .4rem 1rem; background: #f4f6f8; }
.verdict.derived { border-color: #d64541; } .verdict.independent { border-color: #2678be; }
.verdict strong { font-size: 1.25rem; }
table { border-collapse: collapse; font-size: .9rem; } th, td { padding: .25rem .7rem; text-align: left;
  border-bottom: 1px solid #e2e6ea; vertical-align: top; } td.number { text-align: right; }
.cards { display: flex; gap: 2rem; flex-wrap: wrap; } code { background: #f4f6f8; padding: .1rem .3rem;
  overflow-wrap: anywhere; } .scroll { max-height: 28rem; overflow: auto; } small { color: #5b6670; }
"""


def save_report(comparison: Comparison, path: Path) -> None:
    """Write the report, whole or not at all; RequestError if the disk refuses."""
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(report_html(comparison), encoding="utf-8")


def report_html(comparison: Comparison) -> str:
    """The report as HTML: verdict, reasons, figures, matched networks, both models and how to make it again."""
    a, b = comparison.a, comparison.b
    title = f"{escape(a.model.name)} compared with {escape(b.model.name)}"
    signals = [
        figures.matched_signals(comparison, pair) for pair in range(min(SHOWN_SIGNALS, len(comparison.values_M)))
    ]
    parts = [
        f"<h1>{title}</h1>",
        _verdict(comparison),
        "<h2>The score among known pairs</h2>",
        _figure(figures.untitled(figures.score_on_reference(comparison), 28)),
        _reference(comparison),
        "<h2>Matched networks</h2>",
        _matched(comparison),
        *[_figure(figure) for figure in signals],
        _note(figures.SIGNALS_NOTE),
        _figure(figures.matrix(comparison)),
        _note(figures.MATRIX_NOTE),
        "<h2>Second opinions</h2>",
        "<p>Neither decides: both are known to call independent models related.</p>",
        _figure(figures.weight_curves(comparison)),
        _note(figures.CURVES_NOTE),
        _figure(figures.layer_similarity(comparison)),
        _note(figures.LAYERS_NOTE),
        "<h2>The models</h2>",
        f'<div class="cards">{_card(a)}{_card(b)}</div>',
        "<h2>How to make it again</h2>",
        _again(comparison),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>FNet: {title}</title><style>{_STYLE}</style>"
        f'<script id="plotly">{get_plotlyjs()}</script></head>\n<body>' + "\n".join(parts) + "\n</body></html>\n"
    )


def _figure(figure: go.Figure) -> str:
    return figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})


def _note(sentences: str) -> str:
    return f"<p><small>{escape(sentences)}</small></p>"


def _sentences(sentences: tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _verdict(comparison: Comparison) -> str:
    found = comparison.verdict
    interval, note = "no interval", ""
    if comparison.interval:
        interval = "95 % interval {:.3f} to {:.3f}".format(*comparison.interval)
        note = _note(INTERVAL_NOTE)
    outcome = comparison.outcome
    advice = f"<p>What would change it:</p>{_sentences(found.advice)}" if found.advice else ""
    return (
        f'<div class="verdict {outcome}"><p><strong>{outcome}</strong><br>{HEADLINES[outcome]}</p>'
        f"<p>score {comparison.score:.3f}, {interval}, {len(comparison.values_M)} matched pairs of networks on "
        f"{len(comparison.a.passages)} passages; {comparison.plain_score:.3f} with the text's surface left in</p>"
        f"{_sentences(found.reasons)}{note}{advice}{_note(NO_PROOF)}</div>"
    )


def _reference(comparison: Comparison) -> str:
    if comparison.reference is None:
        return "<p>There is no reference distribution.</p>"
    command = f"<code>{escape(comparison.reference.command)}</code>"
    made = f"<p><small>The reference pairs were made with {command}.</small></p>"
    return _note(figures.score_note(comparison)) + made


def _matched(comparison: Comparison) -> str:
    rows = "".join(
        f'<tr><td class="number">{row.value:.3f}</td>'
        f'<td class="number">{row.network_a}</td><td>{escape(row.label_a)}</td>'
        f'<td class="number">{row.key_neurons_a:,}</td>'
        f'<td class="number">{row.network_b}</td><td>{escape(row.label_b)}</td>'
        f'<td class="number">{row.key_neurons_b:,}</td></tr>'
        for row in comparison.table().itertuples()
    )
    a, b = escape(comparison.a.model.name), escape(comparison.b.model.name)
    left = f"Left out, because they give no signal: {len(comparison.left_out_a)} networks of {a}, "
    left += f"{len(comparison.left_out_b)} of {b}."
    mean_null = sum(comparison.null_scores) / len(comparison.null_scores) if comparison.null_scores else None
    null = f" Mismatched passages score {mean_null:.3f} on average." if mean_null is not None else ""
    return (
        f"<p>{left}{null} Counted as published (signed, series cut), {comparison.published} pairs "
        "are above 0.5.</p>"
        '<div class="scroll"><table><thead><tr><th>abs(ρ)</th><th>#</th>'
        f"<th>{a}</th><th>neurons</th><th>#</th><th>{b}</th><th>neurons</th></tr></thead><tbody>{rows}</tbody>"
        "</table></div>"
    )


def _card(side: Fingerprint) -> str:
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
        "made with": ", ".join(f"{name} {number}" for name, number in sorted(side.recipe["versions"].items())),
    }
    body = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
    return f"<div><h3>{escape(model.name)}</h3><table>{body}</table></div>"


def fingerprint_command(side: Fingerprint, out: str) -> str:
    """The command that makes a fingerprint again, as far as there is one, see `beyond_the_command`."""
    protocol = side.protocol
    # a name that starts with a dash would be read as an option
    name = f"./{side.model.name}" if side.model.name.startswith("-") else side.model.name
    words = [name, "--site", protocol["site"], "--components", str(protocol["components"])]
    words += ["--threshold", f"{protocol['threshold']:g}"]
    for split, sources in zip(("find", "score"), side.recipe["texts"], strict=True):
        if sources != [f"bundled/{split}"]:
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
    for split, sources in zip(("find", "score"), side.recipe["texts"], strict=True):
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
    return [
        fingerprint_command(comparison.a, "a.safetensors"),
        fingerprint_command(comparison.b, "b.safetensors"),
        f"python -m fnet_core compare a.safetensors b.safetensors --seed {comparison.seed}{resamples} "
        "--report report.html",
    ]


def beyond_the_commands(comparison: Comparison) -> list[str]:
    """What `commands` cannot say of a comparison, as sentences."""
    return [*dict.fromkeys([*beyond_the_command(comparison.a), *beyond_the_command(comparison.b)]), _PLACES]


def _again(comparison: Comparison) -> str:
    notes = "".join(_note(sentence) for sentence in beyond_the_commands(comparison))
    protocol = comparison.a.protocol
    rows = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in sorted(protocol.items()))
    listed = "".join(f"<p><code>{escape(command)}</code></p>" for command in commands(comparison))
    shared = f"Both fingerprints share this protocol ({comparison.a.protocol_digest}):"
    return f"{listed}{notes}<p>{shared}</p><table>{rows}</table>"
