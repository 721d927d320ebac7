"""Take a model's fingerprint: answered from the store when asked before, measured and saved otherwise.

Shape legend: K networks, T tokens of one passage, N neurons, L layers, M marks, U entries of an upper triangle.
"""

import bz2
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.fitting import Reader, reader_at, reader_of
from fnet_core.activations.hooks import touching
from fnet_core.activations.reading import copied, read_subjects, tokenize
from fnet_core.choices import FINGERPRINT_COMPONENTS, FINGERPRINT_SITE, FINGERPRINT_THRESHOLD, TEST_PASSAGES, Site
from fnet_core.decomposition.canica import standardize
from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.perplexity import measure
from fnet_core.lineage.cka import packed_gram
from fnet_core.lineage.fingerprint import FINGERPRINTS, Fingerprint, ModelIdentity
from fnet_core.lineage.grid import grid_positions, tokens_at
from fnet_core.lineage.neuron_signals import SignatureReader, read_signatures
from fnet_core.lineage.probes import Secret
from fnet_core.lineage.request import MARKS, SPANS, FingerprintRequest, Signal, stretches
from fnet_core.lineage.surface import surface_directions
from fnet_core.lineage.weight_curves import weight_curves
from fnet_core.models import loading as models
from fnet_core.models.folder import published_name, read_config
from fnet_core.models.modules import attention_weights, taps
from fnet_core.models.resolving import ModelFolder
from fnet_core.models.running import Running, expected, main_device, running
from fnet_core.models.structure import check_site_of
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import atlas_uncut, compute_atlas, nothing_long
from fnet_core.profiling import PeakMemory, Stopwatch
from fnet_core.progress import Report, silent
from fnet_core.storage import memo
from fnet_core.storage.memo import Found
from fnet_core.texts import Passage, parted

READING_PASSAGES, READING_CHARACTERS = 4, 400
"""The sample on which it is measured how well a model reads the probes."""


def readable(request: FingerprintRequest, reader: Reader) -> FingerprintRequest:
    """The request with the longest stretches of the probes that a model can read, whole passages where it can.

    Never longer ones than are asked for. Where the model reads none, it is left to the reading to say so.
    """
    probes = (*request.find, *request.score)
    for span in (0, *SPANS):
        if request.span and not 0 < span <= request.span:
            continue
        if all(reader.takes(p.text[a:b]) for p in probes for a, b in stretches(p, span)):
            return replace(request, span=span)
    return request


def taken_alike(sides: Sequence[Fingerprint | Callable[[int], Fingerprint]]) -> list[Fingerprint]:
    """The fingerprints of a comparison, read in the same stretches wherever a side can be taken again.

    A side is a fingerprint or takes one, given the longest stretch to read at once.
    """
    found = [side if isinstance(side, Fingerprint) else side(0) for side in sides]
    span = min((each.span for each in found if each.span), default=0)
    return [
        each if isinstance(side, Fingerprint) or each.span == span else side(span)
        for side, each in zip(sides, found, strict=True)
    ]


def find_fingerprint(
    request: FingerprintRequest, report: Report = silent, *, test: bool = True, **loading: Any
) -> Found[Fingerprint]:
    """The fingerprint that a request asks for, from the store or measured and saved; its atlas is saved too.

    It bears the model's published name as asked for now, whatever it was called when it was measured; a file of the
    store that cannot be read is made again. One from before fingerprints held what the independence test needs is
    completed, unless no `test` is wanted. `loading` goes to `models.resolve` and `models.get_loaded`. `report` gets
    the stages of `STAGES` and may raise to stop. Raises RequestError when the request cannot be met.
    """
    folder = models.resolve(request.model, report=report, **loading)
    kept, request = _kept(request, folder, test)
    return kept or fingerprint_of(
        models.get_loaded(request.model, report=report, **loading), request, report, test=test
    )


def kept_fingerprint(request: FingerprintRequest, *, test: bool = True, **loading: Any) -> Found[Fingerprint] | None:
    """The fingerprint that a request asks for if the store has it; no model is fetched, converted or loaded for that.

    None too for a model that cannot be used here.
    """
    try:
        return _kept(request, models.resolve(request.model, report=nothing_long, **loading), test)[0]
    except (RequestError, Cancelled):
        return None


def _kept(
    request: FingerprintRequest, folder: ModelFolder, test: bool
) -> tuple[Found[Fingerprint] | None, FingerprintRequest]:
    """The fingerprint in the store, and the request with the stretches that its model reads."""
    check_site_of(read_config(folder.path), request.site)
    request = readable(request, reader_at(folder))
    model = _published(expected(folder), folder.path)
    kept = memo.found(FINGERPRINTS, request.recipe(model), _suffices(test))
    return kept and replace(kept, answer=kept.answer.called(model.name)), request


def _suffices(test: bool) -> Callable[[Fingerprint], bool]:
    return lambda kept: not (test and kept.is_old)


def fingerprint_of(
    loaded: models.LoadedModel, request: FingerprintRequest, report: Report = silent, *, test: bool = True
) -> Found[Fingerprint]:
    """The fingerprint of a loaded model, from the store or measured and saved, as `find_fingerprint`."""
    request = readable(request, reader_of(loaded))
    model = _published(running(loaded), loaded.path)
    recipe = request.recipe(model)

    def take() -> Fingerprint:
        if old := memo.known(FINGERPRINTS, recipe):
            return with_signatures(old, loaded, report)
        peak = PeakMemory()
        atlas = atlas_uncut(loaded, request.atlas_request(), report, halves=False).answer
        return compute_fingerprint(loaded, atlas, request, recipe, report, peak)

    found = memo.answered(FINGERPRINTS, recipe, take, _suffices(test))
    return replace(found, answer=found.answer.called(model.name))


def _published(model: Running, folder: Path) -> Running:
    """The model under the name that others know it by."""
    return replace(model, name=published_name(model.name, folder))


def with_signatures(old: Fingerprint, loaded: models.LoadedModel, report: Report = silent) -> Fingerprint:
    """A fingerprint from before it held what the independence test needs, completed; nothing else of it changes."""
    clock = Stopwatch()
    neurons, untested = None, ""
    with clock.stage("completing"):
        try:
            neurons = read_signatures(loaded, old.passages[:TEST_PASSAGES], _as_stage(report, "scoring"))
        except RequestError as error:
            untested = _half_sentence(error)
    seconds = old.seconds | {"completing": round(clock.seconds["completing"], 3)}
    return replace(old, neurons=neurons, untested=untested, seconds=seconds)


def fingerprint(
    loaded: models.LoadedModel,
    *,
    site: Site = FINGERPRINT_SITE,
    components: int = FINGERPRINT_COMPONENTS,
    threshold: float = FINGERPRINT_THRESHOLD,
    seed: int = 0,
    signal: Signal = "weighted",
    find: Sequence[Passage] | None = None,
    score: Sequence[Passage] | None = None,
    secret: Secret | None = None,
    report: Report = silent,
) -> Fingerprint:
    """The fingerprint of a loaded model, measured without the store; the bundled probes unless others are given.

    Raises RequestError as `find_fingerprint`.
    """
    request = FingerprintRequest(
        loaded.name, tuple(find or ()), tuple(score or ()), site, components, threshold, seed, signal, secret=secret
    )
    request = readable(request, reader_of(loaded))
    recipe = request.recipe(_published(running(loaded), loaded.path))
    peak = PeakMemory()
    atlas_recipe = {"model": loaded.name, "model_digest": loaded.digest, "site": site, "scope": "model"}
    atlas = compute_atlas(loaded, request.atlas_request(), atlas_recipe, report, halves=False)
    return compute_fingerprint(loaded, atlas, request, recipe, report, peak)


def compute_fingerprint(
    loaded: models.LoadedModel,
    atlas: Atlas,
    request: FingerprintRequest,
    recipe: dict[str, Any],
    report: Report = silent,
    peak: PeakMemory | None = None,
) -> Fingerprint:
    """Read an atlas's networks on the passages to score on, in one pass that also gives the layers' Gram matrices."""
    peak = peak or PeakMemory()
    clock = Stopwatch()
    weights_KN = key_weights(atlas.maps[0], request.threshold, request.signal)
    with clock.stage("scoring"):
        signatures, untested = _signature_reader(loaded, request)
        with signatures.reading() if signatures else nullcontext():
            signals, grids, grams_LU = _read(loaded, request, weights_KN, report)
    with clock.stage("weighing"):
        weights = list(attention_weights(loaded.model))
        curves_4L = weight_curves(weights) if weights else np.zeros((4, len(grams_LU)))
    with clock.stage("reading"):
        bits = bits_per_byte(loaded, request.score, report)
    spent = atlas.seconds | {stage: round(seconds, 3) for stage, seconds in clock.seconds.items()}
    found = Fingerprint(
        model=ModelIdentity(
            name=recipe["model"],
            digest=loaded.digest,
            family=loaded.family,
            layers=len(grams_LU),
            width=loaded.model.config.hidden_size,
            parameters=loaded.model.num_parameters(),
            dtype=loaded.dtype,
        ),
        recipe=recipe,
        passages=request.score,
        signals=signals,
        grids=grids,
        key_counts_KL=atlas.key_counts(request.threshold),
        labels=atlas.labels,
        variance_K=atlas.variance_K,
        stability_K=atlas.stability_K,
        curves_4L=curves_4L,
        grams_LU=grams_LU,
        bits_per_byte=bits,
        compressor_bits_per_byte=compressor_bits_per_byte((*request.find, *request.score)),
        seconds=spent,
        peak_memory_bytes=peak.bytes(),
        neurons=signatures.signatures() if signatures else None,
        untested=untested,
    )
    return found.hidden(surface_directions(tuple(p.text for p in request.score))) if request.secret else found


def _signature_reader(loaded: models.LoadedModel, request: FingerprintRequest) -> tuple[SignatureReader | None, str]:
    """What collects the signatures of neurons, or why the model has none."""
    if request.span:
        return None, f"{loaded.name} reads too few tokens at once for whole passages"
    try:
        return SignatureReader(loaded, request.score[:TEST_PASSAGES]), ""
    except RequestError as error:
        return None, _half_sentence(error)


def _half_sentence(error: RequestError) -> str:
    told = str(error).rstrip(".")
    return told[0].lower() + told[1:]


def _read(
    loaded: models.LoadedModel, request: FingerprintRequest, weights_KN: Tensor, report: Report
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], np.ndarray]:
    """Signals and grids per passage, and the packed Gram matrix of each layer's residual stream at the marks."""
    at = [stretches(passage, request.span) for passage in request.score]
    pieces = [parted(passage, each) for passage, each in zip(request.score, at, strict=True)]
    tokens = [tokenize(loaded, piece) for piece in chain.from_iterable(pieces)]
    begins = [begin for begin, _ in chain.from_iterable(at)]
    offsets = [begin + t.offsets_T2[t.text_T].numpy() for begin, t in zip(begins, tokens, strict=True)]
    edges = list(pairwise((0, *np.cumsum([len(each) for each in pieces]).tolist())))
    whole = [np.concatenate(offsets[first:end]) for first, end in edges]
    places: list[Tensor] = []
    for index, (passage, (first, end)) in enumerate(zip(request.score, edges, strict=True)):
        marks = _marks(passage, len(request.score), index, whole[index])
        starts = np.cumsum([0, *(len(each) for each in offsets[first:end])])
        for piece, (low, high) in zip(range(first, end), pairwise(starts), strict=True):
            inside = marks[(marks >= low) & (marks < high)] - low
            places.append(tokens[piece].text_T.nonzero().flatten()[inside].to(main_device(loaded.model)))
    rows: list[list[Tensor]] = [[] for _ in taps(loaded.model, "residual")]

    def keep(layer: int, activation: Tensor) -> None:
        place = places[len(rows[layer])].to(activation.device)
        rows[layer].append(activation.reshape(-1, activation.shape[-1])[place].float())

    signals = []
    relabelled = _as_stage(report, "scoring")
    read = list(chain.from_iterable(pieces))
    with touching(loaded.model, "residual", keep):
        write = standardize if request.signal == "weighted" else copied
        for subject in read_subjects(loaded, read, request.site, relabelled, write=write, reuse=True):
            weights_KN = weights_KN.to(subject.activations_TN.device)
            signals.append(network_signals(subject.activations_TN, weights_KN))
    grids = tuple(
        tokens_at(grid_positions(len(p.text)), o).astype(np.int32) for p, o in zip(request.score, whole, strict=True)
    )
    grams_LU = np.stack([packed_gram(torch.cat(layer).cpu().numpy()) for layer in rows]).astype(np.float16)
    return tuple(np.concatenate(signals[first:end], axis=1) for first, end in edges), grids, grams_LU


def _as_stage(report: Report, name: str) -> Report:
    return lambda stage, fraction: report(name, fraction)


def key_weights(maps_KN: np.ndarray, threshold: float, signal: Signal) -> Tensor:
    """What turns activations into network signals: 0 but for key neurons, absolute sum 1, (K, N) float32."""
    key_KN = np.abs(maps_KN) > threshold
    weights_KN = torch.from_numpy(np.where(key_KN, maps_KN if signal == "weighted" else 1.0, 0.0).astype(np.float32))
    return weights_KN / weights_KN.abs().sum(dim=1, keepdim=True).clamp_min(1e-30)


def network_signals(activations_TN: Tensor, weights_KN: Tensor) -> np.ndarray:
    """Each network's weighted sum of activations per token, mean 0 and deviation 1, (K, T) float16 on the CPU.

    A signal that does not vary beyond rounding becomes zeros.
    """
    series_KT = (weights_KN @ activations_TN.T).double().cpu().numpy()
    centred = series_KT - series_KT.mean(axis=1, keepdims=True)
    spread_K1 = centred.std(axis=1, keepdims=True)
    varies_K1 = spread_K1 > 1e-6 * np.abs(series_KT).max(axis=1, keepdims=True)
    return np.divide(centred, spread_K1, out=np.zeros_like(centred), where=varies_K1).astype(np.float16)


def _marks(passage: Passage, passages: int, index: int, offsets_T2: np.ndarray) -> np.ndarray:
    """The tokens of one passage at which layers are compared: in the middle of equal stretches of its characters.

    The first token, where some models park attention, is so left out; of more than `MARKS` passages only some count.
    """
    each = MARKS // passages
    if not each:
        each = int((index * MARKS) // passages != ((index + 1) * MARKS) // passages)
    positions = ((np.arange(each) + 0.5) / max(each, 1) * len(passage.text)).astype(int)
    return tokens_at(positions, offsets_T2)


def bits_per_byte(loaded: models.LoadedModel, passages: Sequence[Passage], report: Report = silent) -> float | None:
    """Bits per byte on the beginnings of a few passages spread over all; None where it cannot be measured."""
    step = max(1, len(passages) // READING_PASSAGES)
    sample = [replace(p, text=p.text[:READING_CHARACTERS]) for p in passages[::step][:READING_PASSAGES]]
    try:
        *_, result = measure(loaded, sample, definition="byte", report=_as_stage(report, "reading"))
    except RequestError:
        return None
    return result.bits_per_byte if result.finite else None


def compressor_bits_per_byte(passages: Sequence[Passage]) -> float:
    """Bits per byte that bzip2 needs for the passages, one after the other."""
    content = "\n\n".join(p.text for p in passages).encode()
    return 8 * len(bz2.compress(content)) / len(content)
