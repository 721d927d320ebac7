"""Find the networks of a model: answered from the store when asked before, computed and saved otherwise."""

from dataclasses import replace
from typing import Any

import numpy as np

from fnet_core.activations.fitting import Reader, fitted, reader_at, reader_of
from fnet_core.activations.reading import read_subjects, tokenize
from fnet_core.decomposition.canica import canica, largest_components, standardize
from fnet_core.errors import Cancelled, RequestError
from fnet_core.models import loading as models
from fnet_core.models.folder import read_config
from fnet_core.models.modules import site_widths
from fnet_core.models.running import expected, running
from fnet_core.models.structure import check_site_of
from fnet_core.networks.atlas import ATLASES, Atlas
from fnet_core.networks.blocks import block_name, layer_blocks
from fnet_core.networks.comparing import halves_recipe, in_halves
from fnet_core.networks.labels import label_networks, words_of_tokens
from fnet_core.networks.request import LEAST_PASSAGES, AtlasRequest
from fnet_core.profiling import PeakMemory, Stopwatch
from fnet_core.progress import Report, silent
from fnet_core.storage import memo
from fnet_core.storage.memo import Found


def find_atlas(request: AtlasRequest, report: Report = silent, **loading: Any) -> Found[Atlas]:
    """The atlas that a request asks for, from the store or computed and saved.

    `loading` goes to `models.resolve` and `models.get_loaded`. `report` gets the stages of `STAGES` and may raise
    to stop; nothing is left behind then. Raises RequestError when the request cannot be met.
    """
    folder = models.resolve(request.model, report=report, **loading)
    check_site_of(read_config(folder.path), request.site)
    model = expected(folder)
    if kept := memo.found(ATLASES, request.recipe(model)):
        return kept
    request = cut_for(request, reader_at(folder))
    if request.cut and (kept := memo.found(ATLASES, request.recipe(model))):
        return kept
    return atlas_of(models.get_loaded(request.model, report=report, **loading), request, report)


def kept_atlas(request: AtlasRequest, **loading: Any) -> Found[Atlas] | None:
    """The atlas that a request asks for if the store has it; nothing is fetched, converted or loaded for that.

    Raises RequestError when the request cannot be met, Cancelled when its model is not on this machine.
    """
    folder = models.resolve(request.model, report=_nothing_long, **loading)
    return memo.found(ATLASES, request.recipe(expected(folder)))


def _nothing_long(stage: str, fraction: float) -> None:
    """A report that stops whatever would take long enough to report."""
    raise Cancelled


def cut_for(request: AtlasRequest, *readers: Reader) -> AtlasRequest:
    """The request with its passages cut to what all these models can read, at the same characters for each."""
    found = fitted(request.passages, readers)
    return replace(request, passages=found.passages, cut=request.cut or found.note)


def atlas_of(loaded: models.LoadedModel, request: AtlasRequest, report: Report = silent) -> Found[Atlas]:
    """The atlas of a loaded model, from the store or computed and saved; its name in the request decides nothing."""
    return atlas_uncut(loaded, cut_for(request, reader_of(loaded)), report)


def atlas_uncut(
    loaded: models.LoadedModel, request: AtlasRequest, report: Report = silent, *, halves: bool = True
) -> Found[Atlas]:
    """`atlas_of` on the passages as they are, however long they are to this model; `halves` as in `compute_atlas`."""
    recipe = request.recipe(running(loaded))
    return memo.answered(ATLASES, recipe, lambda: compute_atlas(loaded, request, recipe, report, halves=halves))


def compute_atlas(
    loaded: models.LoadedModel,
    request: AtlasRequest,
    recipe: dict[str, Any],
    report: Report = silent,
    *,
    halves: bool = True,
) -> Atlas:
    """Capture, decompose, label; RequestError before any of it when the data cannot give so many networks.

    With `halves`, and passages enough, the networks are separated in either half of the passages as well, and the atlas
    says how they come back: two more separations, from the same reading.
    """
    peak = PeakMemory()
    clock = Stopwatch()
    widths_L = site_widths(loaded.model, request.site)
    layers = layer_blocks(request.scope, len(widths_L))
    blocks = tuple(sum(widths_L[block.start : block.stop]) for block in layers)
    tokens = [tokenize(loaded, passage) for passage in request.passages]
    most = largest_components([int(t.text_T.sum()) for t in tokens], blocks, request.components)
    if request.components > most:
        raise RequestError(
            f"{request.components} components are more than these texts and neurons allow ({most}); ask for fewer"
            + (" or give more text." if request.scope == "model" else " or choose scope model.")
        )
    subjects = read_subjects(loaded, request.passages, request.site, report, write=standardize, reuse=True)
    found = canica(
        (subject.activations_TN for subject in subjects),
        blocks,
        request.components,
        seed=request.seed,
        restarts=request.restarts,
        contrast=request.contrast,
        standardized=True,
        starts=[sum(widths_L[: block.start]) for block in layers],
        names=["the model"] if request.scope == "model" else [block_name(block) for block in layers],
        halves=halves and len(request.passages) >= LEAST_PASSAGES,
        report=report,
        clock=clock,
    )
    with clock.stage("labelling"):
        offsets = tuple(t.offsets_T2[t.text_T].numpy() for t in tokens)
        courses = tuple(np.concatenate([n.time_courses[s].numpy() for n in found], axis=1) for s in range(len(tokens)))
        words = [
            word
            for passage, offsets_T2 in zip(request.passages, offsets, strict=True)
            for word in words_of_tokens(passage.text, offsets_T2)
        ]
        labels = label_networks(words, np.concatenate(courses))
    atlas = Atlas(
        recipe=recipe,
        passages=request.passages,
        widths_L=widths_L,
        maps=tuple(n.maps_KN.numpy() for n in found),
        courses=courses,
        offsets=offsets,
        variance_K=np.concatenate([n.variance_K.numpy() for n in found]),
        recurrence_SK=np.concatenate([n.recurrence_SK.numpy() for n in found], axis=1),
        stability_K=np.concatenate([n.stability_K.numpy() for n in found]),
        labels=labels,
        converged=float(np.mean([n.converged for n in found])),
        seconds=_rounded(clock),
        peak_memory_bytes=peak.bytes(),
    )
    found_in_halves = [networks.halves for networks in found if networks.halves is not None]
    if not found_in_halves:
        return atlas
    with clock.stage("comparing halves"):
        even, odd = ([maps.numpy() for maps in half] for half in zip(*found_in_halves, strict=True))
        recurrence = in_halves(atlas, (even, odd), halves_recipe(atlas))
    return replace(atlas, halves=recurrence, seconds=_rounded(clock), peak_memory_bytes=peak.bytes())


def _rounded(clock: Stopwatch) -> dict[str, float]:
    return {stage: round(seconds, 3) for stage, seconds in clock.seconds.items()}
