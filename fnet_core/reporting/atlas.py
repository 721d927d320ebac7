"""An atlas as one HTML page that opens offline, in light and dark: nothing is fetched, and markup is shown as text."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fnet_core._version import __version__
from fnet_core.capability.dissociations import sentences
from fnet_core.capability.lesions import LesionMatrix
from fnet_core.choices import DEFAULT_THRESHOLD, scope_title, site_title
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.networks import enough
from fnet_core.networks.annotations import Annotation
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.contexts import contexts, led_by_positions
from fnet_core.networks.recurrence import LEVELS
from fnet_core.plotting import capabilities, networks
from fnet_core.plotting.describing import described
from fnet_core.plotting.lineage import untitled
from fnet_core.plotting.scan import scan
from fnet_core.plotting.style import NEGATIVE, POSITIVE, rgba
from fnet_core.reporting.comparison import TEMPLATES, figure_html
from fnet_core.reporting.figures import digests
from fnet_core.storage.artifacts import atomic_file

PLACES = 8
"""Strongest places that are listed of a network."""
MOST_NETWORKS = 64
"""Networks whose places and time course are shown, the first ones; the table has all."""
MOST_TOKENS = 500
"""Of the passage that shows a network's time course."""
FULL_SD = 3.0
"""Standard deviations from which on the colour of a time course is full."""


def save_report(
    atlas: Atlas,
    path: Path,
    threshold: float = DEFAULT_THRESHOLD,
    lesions: Sequence[LesionMatrix] = (),
    fingerprint: Fingerprint | None = None,
) -> None:
    """Write the report, whole or not at all; RequestError if the disk refuses."""
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(report_html(atlas, threshold, lesions, fingerprint), encoding="utf-8")


def report_html(
    atlas: Atlas,
    threshold: float = DEFAULT_THRESHOLD,
    lesions: Sequence[LesionMatrix] = (),
    fingerprint: Fingerprint | None = None,
) -> str:
    """The report as HTML: scan, table with labels and notes, contexts, time courses, lesions, fingerprint, recipe.

    `stored.lesions_of` and `stored.fingerprint_of` give what is kept beside an atlas.
    """
    recipe = atlas.recipe
    trusted_K = atlas.trusted_K
    return TEMPLATES.get_template("atlas.html.jinja").render(
        model=atlas.model_name,
        plotly=Markup(get_plotlyjs()),
        facts=_facts(atlas),
        trusted=None if trusted_K is None else int(trusted_K.sum()),
        levels=LEVELS,
        count=len(atlas),
        said=sum(map(bool, atlas.annotations.values())),
        more=[sentence for sentence in (enough.sentence(recipe), recipe.get("cut")) if sentence],
        threshold=threshold,
        scan=_figure(untitled(scan(atlas, threshold), 12)),
        columns=_columns(atlas),
        rows=_rows(atlas, threshold),
        networks=_networks(atlas),
        left_out=max(0, len(atlas) - MOST_NETWORKS),
        full=FULL_SD,
        lesions=[_lesion(matrix) for matrix in lesions],
        fingerprint=_fingerprint(fingerprint),
        recipe=json.dumps(recipe, indent=2, ensure_ascii=False),
        versions=sorted((recipe.get("versions") or {}).items()),
        made_by=__version__,
        digests=[("key in the store", atlas.key), *digests(atlas).items()],
    )


def _figure(figure: go.Figure) -> dict[str, Any]:
    return {"html": figure_html(figure), "alt": described(figure)}


def _facts(atlas: Atlas) -> str:
    return (
        f"{len(atlas)} networks, {site_title(atlas.site)}, {scope_title(atlas.scope)}; {sum(atlas.widths_L):,} neurons "
        f"in {atlas.layer_count} layers; {atlas.tokens:,} tokens in {len(atlas.passages)} passages"
    )


def _columns(atlas: Atlas) -> list[str]:
    recurs = ["recurs", "trusted"] if atlas.halves is not None else []
    return ["#", "label", "verdict", "variance", "stability", *recurs, "key neurons", "layers", "note"]


def _rows(atlas: Atlas, threshold: float) -> list[dict[str, Any]]:
    rows = []
    for row in atlas.table(threshold).to_dict("records"):
        network = row["network"]
        said = atlas.annotations.get(network, Annotation())
        numbers = [f"{row['variance']:.2%}", f"{row['stability']:.2f}"]
        if "trusted" in row:
            numbers += [f"{row['recurrence']:.2f}", "yes" if row["trusted"] else "no"]
        rows.append(
            {
                "colour": networks.colour_of(atlas, network),
                "network": network,
                "label": row["label"],
                "automatic": atlas.labels[network] if said.label else "",
                "verdict": said.verdict,
                "cells": [*numbers, f"{row['key_neurons']:,}", f"{row['layers']}"],
                "note": said.note,
                "shown": network < MOST_NETWORKS,
            }
        )
    return rows


def _networks(atlas: Atlas) -> list[dict[str, Any]]:
    led = led_by_positions(atlas)
    found = []
    for network in range(min(len(atlas), MOST_NETWORKS)):
        passage = int(atlas.recurrence_SK[:, network].argmax())
        places = contexts(atlas, network, PLACES)
        found.append(
            {
                "colour": networks.colour_of(atlas, network),
                "network": network,
                "label": atlas.named[network],
                "said": atlas.annotations.get(network, Annotation()),
                "automatic": atlas.labels[network],
                "position": led[network],
                "places": list(places.itertuples(index=False)),
                "passage": atlas.passages[passage].name,
                "pieces": _pieces(atlas, network, passage),
                "cut": len(atlas.courses[passage]) > MOST_TOKENS,
            }
        )
    return found


def _pieces(atlas: Atlas, network: int, passage: int) -> list[tuple[str, str, str]]:
    """A passage's text in pieces, each with its colour (empty between tokens) and what is said of it."""
    text = atlas.passages[passage].text
    course_T = atlas.courses[passage][:MOST_TOKENS, network] / atlas.course_scale(network)
    pieces, end = [], 0
    for (start, stop), value in zip(atlas.offsets[passage].tolist(), course_T.tolist(), strict=False):
        start = max(start, end)
        if stop <= start:
            continue
        if text[end:start]:
            pieces.append((text[end:start], "", ""))
        colour = rgba(POSITIVE if value > 0 else NEGATIVE, 0.8 * float(np.clip(abs(value) / FULL_SD, 0, 1)))
        pieces.append((text[start:stop], colour, f"{value:+.1f} SD"))
        end = stop
    return pieces


def _lesion(matrix: LesionMatrix) -> dict[str, Any]:
    asked = matrix.recipe["asked"]
    return {
        "figure": _figure(capabilities.matrix(matrix)),
        "sentences": sentences(matrix),
        "note": (
            f"Accuracy less that of the untouched model, {asked['items']} items per capability, key neurons beyond "
            f"|z| {matrix.recipe['threshold']:g} times {matrix.gain:g}; a dot marks a change beyond the untouched "
            f"model and all of {matrix.random_KMI.shape[1]} random lesions."
        ),
    }


def _fingerprint(found: Fingerprint | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    model = found.model
    reads = "not measured" if found.bits_per_byte is None else f"{found.bits_per_byte:.2f}"
    return [
        ("architecture", model.family),
        ("layers, width", f"{model.layers}, {model.width:,}"),
        ("parameters", f"{model.parameters:,}"),
        ("numbers", model.dtype),
        ("digest of the weights", model.digest),
        ("networks", f"{len(found)}, {int(found.empty_K.sum())} of them without a key neuron"),
        ("bits per byte on the passages", f"{reads} (bzip2: {found.compressor_bits_per_byte:.2f})"),
        ("signature", found.signed_sentence),
        ("digest of the content", found.content_digest()),
    ]
