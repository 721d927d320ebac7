"""The part of `import fnet_core as fn` that keeps and hands on what was found: labels, reports, bundles, replays."""

from collections.abc import Sequence
from pathlib import Path

from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.given import Model, loaded_of
from fnet_core.networks import annotations
from fnet_core.networks.atlas import Atlas
from fnet_core.progress import Report, silent
from fnet_core.reporting import bundle as bundles
from fnet_core.reporting import replay as replaying
from fnet_core.reporting.atlas import save_report
from fnet_core.reporting.bundle import Bundle
from fnet_core.reporting.replay import Replay
from fnet_core.reporting.stored import fingerprint_of, lesions_of


def label(
    atlas: Atlas, network: int, text: str | None = None, *, verdict: str | None = None, note: str | None = None
) -> Atlas:
    """The atlas with a person's label, verdict ("accepted", "rejected", "") or note on a network, which is kept.

    What is not given stays as it was; an empty text takes a label or a note back. Raises RequestError for a network
    that the atlas does not have, another verdict, and what is too long.

    >>> import fnet_core as fn
    >>> atlas = fn.label(fn.find_atlas("tiny", components=4), 1, "opening brackets", verdict="accepted")
    >>> atlas.named[1], fn.find_atlas("tiny", components=4).annotations[1].verdict
    ('opening brackets', 'accepted')
    """
    return annotations.changed(atlas, network, label=text, verdict=verdict, note=note)


def report(atlas: Atlas, path: str | Path, *, threshold: float = DEFAULT_THRESHOLD) -> Path:
    """Write an atlas as one HTML page that opens offline, with the lesion matrices and the fingerprint kept beside it.

    Raises RequestError where the file cannot be written.

    >>> import fnet_core as fn
    >>> fn.report(fn.find_atlas("tiny", components=4), "atlas.html").name
    'atlas.html'
    """
    save_report(atlas, Path(path), threshold, lesions_of(atlas), fingerprint_of(atlas))
    return Path(path)


def bundle(
    atlas: Atlas,
    path: str | Path,
    *,
    edits: Sequence[str | Path] = (),
    plans: Sequence[str | Path] = (),
    model: Model | None = None,
    report: Report = silent,
) -> Bundle:
    """Write an atlas with its labels, saved edits and plans, and what is kept beside it, as one file for `replay`.

    With `model` the perplexity under the edits is measured and recorded. Raises RequestError for edits and plans of
    another model.

    >>> import fnet_core as fn
    >>> len(fn.bundle(fn.find_atlas("tiny", components=4), "tiny.zip").atlas)
    4
    """
    made = replaying.bundle_of(
        atlas,
        edits=bundles.read_texts(edits),
        plans=[bundles.parse_plan(text) for text in bundles.read_texts(plans)],
        lesions=lesions_of(atlas),
        fingerprint=fingerprint_of(atlas),
        loaded=None if model is None else loaded_of(model, report),
        report=report,
    )
    bundles.save_bundle(made, Path(path))
    return made


def replay(
    path: str | Path, *, model: Model | None = None, everything: bool = False, report: Report = silent
) -> Replay:
    """Compute what a bundle holds again, nothing of it from the store, and hold it against what is in the bundle.

    The lesion matrices and the fingerprint only with `everything`. Raises RequestError for a damaged bundle, one of
    another format, and another model than the bundle's.

    >>> import fnet_core as fn
    >>> made = fn.bundle(fn.find_atlas("tiny", components=4), "tiny.zip")
    >>> found = fn.replay("tiny.zip")
    >>> found.agrees, {line.outcome for line in found.lines if line.figure.startswith("atlas")}
    (True, {'identical'})
    """
    given = bundles.load_bundle(Path(path))
    loaded = loaded_of(given.atlas.model_name if model is None else model, report)
    return replaying.replay(given, loaded, everything=everything, report=report)
