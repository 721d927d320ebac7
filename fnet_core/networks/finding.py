"""Find the networks of a model: answered from the store when asked before, computed and saved otherwise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from fnet_core.activations.fitting import Reader, fitted, reader_at, reader_of
from fnet_core.activations.reading import Tokens, read_subjects, tokenize
from fnet_core.decomposition.canica import Networks, Reduced, SoFar, canica, largest_components, standardize
from fnet_core.engine.client import Engine
from fnet_core.errors import Cancelled, RequestError
from fnet_core.models import loading as models
from fnet_core.models.folder import read_config
from fnet_core.models.modules import site_widths
from fnet_core.models.resolving import ModelFolder
from fnet_core.models.running import Running, expected, running
from fnet_core.models.structure import check_site_of
from fnet_core.networks.atlas import ATLASES, Atlas
from fnet_core.networks.blocks import block_name, layer_blocks
from fnet_core.networks.comparing import halves_recipe, in_halves
from fnet_core.networks.enough import Watch, answers, looks_at
from fnet_core.networks.labels import label_networks, words_of_tokens
from fnet_core.networks.request import LEAST_PASSAGES, AtlasRequest
from fnet_core.networks.spreading import Spread
from fnet_core.parallel import threads
from fnet_core.profiling import PeakMemory, Stopwatch
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Found

FIRST_LOOK, NEXT_LOOK = 2, 4
"""Passages before the first provisional atlas, and how many times more before each next one."""

LOOK_RESTARTS = 2
"""Restarts of a provisional atlas, the fewest that give a stability."""

Publish = Callable[[Atlas], None]
"""Called with a provisional atlas, see `Atlas.provisional`; it may raise to stop."""


def find_atlas(
    request: AtlasRequest,
    report: Report = silent,
    *,
    publish: Publish | None = None,
    engine: Engine | None = None,
    **loading: Any,
) -> Found[Atlas]:
    """The atlas that a request asks for, from the store or computed and saved.

    The workers of an `engine` read the passages, if one is given, and the result is the same. `loading` goes to
    `models.resolve` and `models.get_loaded`. `report` gets the stages of `STAGES` and may raise to stop; nothing is
    left behind then. `publish` as in `compute_atlas`. Raises RequestError when the request cannot be met.
    """
    folder = models.resolve(request.model, report=report, **loading)
    check_site_of(read_config(folder.path), request.site)
    kept, request = _kept(request, folder)
    if kept:
        return kept
    loaded = models.get_loaded(request.model, report=report, **loading)
    spread = Spread(engine, request.model, loading) if engine else None
    return atlas_of(loaded, request, report, publish=publish, spread=spread)


def kept_atlas(request: AtlasRequest, **loading: Any) -> Found[Atlas] | None:
    """The atlas that a request asks for if the store has it; no model is fetched, converted or loaded for that.

    Raises RequestError when the request cannot be met, Cancelled when its model is not on this machine.
    """
    return _kept(request, models.resolve(request.model, report=nothing_long, **loading))[0]


def _kept(request: AtlasRequest, folder: ModelFolder) -> tuple[Found[Atlas] | None, AtlasRequest]:
    """The atlas in the store, and the request with its passages cut where it is not there on the whole ones."""
    model = expected(folder)
    if kept := _stored(request, model):
        return kept, request
    request = cut_for(request, reader_at(folder))
    return (_stored(request, model) if request.cut else None), request


def nothing_long(stage: str, fraction: float) -> None:
    """A report that stops whatever would take long enough to report."""
    raise Cancelled


def _stored(request: AtlasRequest, model: Running) -> Found[Atlas] | None:
    """The atlas that a request asks for if the store has it on these very passages."""
    if not request.enough:
        return memo.found(ATLASES, request.recipe(model))
    most = len(request.passages)
    kept = (
        memo.found(ATLASES, request.taking(taken).recipe(model), lambda atlas: answers(atlas, most))
        for taken in looks_at(most)
    )
    return next((found for found in kept if found), None)


def cut_for(request: AtlasRequest, *readers: Reader) -> AtlasRequest:
    """The request with its passages cut to what all these models can read, at the same characters for each."""
    found = fitted(request.passages, readers)
    return replace(request, passages=found.passages, cut=request.cut or found.note)


def atlas_of(
    loaded: models.LoadedModel,
    request: AtlasRequest,
    report: Report = silent,
    *,
    publish: Publish | None = None,
    spread: Spread | None = None,
) -> Found[Atlas]:
    """The atlas of a loaded model, from the store or computed and saved; its name in the request decides nothing."""
    return atlas_uncut(loaded, cut_for(request, reader_of(loaded)), report, publish=publish, spread=spread)


def atlas_uncut(
    loaded: models.LoadedModel,
    request: AtlasRequest,
    report: Report = silent,
    *,
    halves: bool = True,
    publish: Publish | None = None,
    spread: Spread | None = None,
) -> Found[Atlas]:
    """`atlas_of` on the passages as they are, however long they are to this model; the rest as in `compute_atlas`."""
    model = running(loaded)
    recipe = request.recipe(model)
    if request.enough:
        if kept := _stored(request, model):
            return kept
        atlas = compute_atlas(loaded, request, recipe, report, publish=publish, spread=spread)
        return Found(atlas, memo.keep(ATLASES, atlas.recipe, atlas), computed=True)
    return memo.answered(
        ATLASES,
        recipe,
        lambda: compute_atlas(loaded, request, recipe, report, halves=halves, publish=publish, spread=spread),
    )


def compute_atlas(
    loaded: models.LoadedModel,
    request: AtlasRequest,
    recipe: dict[str, Any],
    report: Report = silent,
    *,
    halves: bool = True,
    publish: Publish | None = None,
    spread: Spread | None = None,
) -> Atlas:
    """Capture, decompose, label; RequestError before any of it when the data cannot give so many networks.

    With `halves`, and passages enough, the networks are separated in either half of the passages as well, and the atlas
    says how they come back: two more separations, from the same reading. `publish` is called with provisional atlases
    of the first passages while the others are read; the result is the same to the last bit. With `spread` an engine's
    workers read them. Where only enough passages are to be taken, the recipe becomes that of a request for so many,
    with what was seen.
    """
    peak = PeakMemory()
    clock = Stopwatch()
    widths_L = site_widths(loaded.model, request.site)
    layers = layer_blocks(request.scope, len(widths_L))
    blocks = tuple(sum(widths_L[block.start : block.stop]) for block in layers)
    tokens = [tokenize(loaded, passage) for passage in request.passages]
    most = largest_components(_counts(tokens), blocks, request.components)
    if request.components > most:
        raise RequestError(
            f"{request.components} components are more than these texts and neurons allow ({most}); ask for fewer"
            + (" or give more text." if request.scope == "model" else " or choose scope model.")
        )
    watch = Watch(len(tokens), request.scope, widths_L) if request.enough else None
    looks = _looks(_counts(tokens), blocks, request.components) if publish else ()

    def early(count: int, so_far: SoFar) -> None:
        if publish is None or count not in looks:
            return
        with clock.stage("first looks"):
            try:
                found = so_far(LOOK_RESTARTS, lambda *_: report("capturing", count / len(tokens)))
            except RequestError:  # neurons that wake up later
                return
            first = replace(request, passages=request.passages[:count])
            seen = recipe | _provisional(first, len(tokens))
            publish(_described(first, seen, widths_L, tokens[:count], found, clock, peak))

    starts = [sum(widths_L[: block.start]) for block in layers]
    subjects: Iterator[Tensor | Reduced]
    if spread:
        subjects = spread.subjects(loaded, request, blocks, starts, report)
    else:
        read = read_subjects(
            loaded, request.passages, request.site, report, write=standardize, reuse=True, tokens=tokens
        )
        subjects = (subject.activations_TN for subject in read)
    found = canica(
        subjects,
        blocks,
        request.components,
        seed=request.seed,
        restarts=request.restarts,
        contrast=request.contrast,
        standardized=True,
        starts=starts,
        names=["the model"] if request.scope == "model" else [block_name(block) for block in layers],
        halves=halves and len(request.passages) >= LEAST_PASSAGES,
        early=early if publish else None,
        looks=watch.at if watch else (),
        enough=watch,
        report=report,
        clock=clock,
    )
    if watch is not None:
        request = request.taking(len(found[0].time_courses))
        tokens, recipe = tokens[: len(request.passages)], request.recipe(running(loaded)) | {"enough": watch.record()}
    with clock.stage("labelling"):
        here = {} if spread else {"threads": threads()}
        atlas = _described(request, recipe | here, widths_L, tokens, found, clock, peak)
    found_in_halves = [networks.halves for networks in found if networks.halves is not None]
    if not found_in_halves:
        return replace(atlas, seconds=_rounded(clock))
    with clock.stage("comparing halves"):
        even, odd = ([maps.numpy() for maps in half] for half in zip(*found_in_halves, strict=True))
        recurrence = in_halves(atlas, (even, odd), halves_recipe(atlas))
    return replace(atlas, halves=recurrence, seconds=_rounded(clock), peak_memory_bytes=peak.bytes())


def _counts(tokens: Sequence[Tokens]) -> list[int]:
    return [int(token.text_T.sum()) for token in tokens]


def _looks(tokens_S: Sequence[int], blocks: tuple[int, ...], components: int) -> tuple[int, ...]:
    """The numbers of passages at which to look at what they give, none of them all passages."""
    looks: list[int] = []
    at = FIRST_LOOK
    while at < len(tokens_S):
        if largest_components(list(tokens_S[:at]), blocks, components) >= components:
            looks.append(at)
        at *= NEXT_LOOK
    return tuple(looks)


def _provisional(first: AtlasRequest, passages: int) -> dict[str, Any]:
    """What tells the recipe of a provisional atlas from that of the whole."""
    return {
        "texts": sorted({p.source for p in first.passages}),
        "texts_digest": artifacts.digest([[p.name, p.text] for p in first.passages]),
        "passages": len(first.passages),
        "restarts": LOOK_RESTARTS,
        "provisional": passages,
    }


def _described(
    request: AtlasRequest,
    recipe: dict[str, Any],
    widths_L: tuple[int, ...],
    tokens: Sequence[Tokens],
    found: Sequence[Networks],
    clock: Stopwatch,
    peak: PeakMemory,
) -> Atlas:
    """The networks as an atlas, with their labels."""
    offsets = tuple(t.offsets_T2[t.text_T].numpy() for t in tokens)
    courses = tuple(np.concatenate([n.time_courses[s].numpy() for n in found], axis=1) for s in range(len(tokens)))
    words = [
        word
        for passage, offsets_T2 in zip(request.passages, offsets, strict=True)
        for word in words_of_tokens(passage.text, offsets_T2)
    ]
    return Atlas(
        recipe=recipe,
        passages=request.passages,
        widths_L=widths_L,
        maps=tuple(n.maps_KN.numpy() for n in found),
        courses=courses,
        offsets=offsets,
        variance_K=np.concatenate([n.variance_K.numpy() for n in found]),
        recurrence_SK=np.concatenate([n.recurrence_SK.numpy() for n in found], axis=1),
        stability_K=np.concatenate([n.stability_K.numpy() for n in found]),
        labels=label_networks(words, np.concatenate(courses)),
        converged=float(np.mean([n.converged for n in found])),
        seconds=_rounded(clock),
        peak_memory_bytes=peak.bytes(),
    )


def _rounded(clock: Stopwatch) -> dict[str, float]:
    return {stage: round(seconds, 3) for stage, seconds in clock.seconds.items()}
