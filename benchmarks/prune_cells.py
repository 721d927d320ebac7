"""The cells of the pruning table: one model cut by one method with one compensation, measured and kept as JSON.

What was measured stands in `benchmarks/measured/prune_table`, since it takes hours. Cells of one model and calibration
text share its scores, factors and Gram matrices, which are in the cache folder while they are needed.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from fnet_core import texts
from fnet_core.activations.reading import tokenize
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult, window_log_likelihoods
from fnet_core.evaluation.windows import Window, text_windows
from fnet_core.models import loading as models
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import mlp_projections, weight_of
from fnet_core.pruning import blending, least_squares, masking, scores
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.blending import blend_replacement
from fnet_core.pruning.compensation import Replacement, mean_replacement, network_replacement
from fnet_core.pruning.cutting import cut
from fnet_core.pruning.factors import LayerFactors, find_factors
from fnet_core.pruning.gram import BlockScatter, Scatter, merged, read_scatters
from fnet_core.pruning.least_squares import fitted_and_held, penalised, ridge_replacement
from fnet_core.pruning.masking import Pruning, keep_masks
from fnet_core.pruning.plan import PrunePlan, make_plan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, Scores, find_scores, known_scores
from fnet_core.pruning.surgeon import DAMPING, input_errors
from fnet_core.storage.place import home
from fnet_core.texts import Passage

TOKENS = {"small": 6_600, "large": 65_000}
SELECTIONS = ("wanda-sp", "flap", "obs", "networks", "obs-networks")
STAND_INS = ("bias", "ridge", "networks", "blend")
BASELINES = (("flap", "bias"), ("wanda-sp", "ridge"), ("obs", "ridge"))
"""What is to be met or beaten."""
CONTENDERS = (
    *BASELINES,
    ("obs-networks", "blend"),
    ("networks", "networks"),
    ("networks", "blend"),
    ("obs", "blend"),
    ("wanda-sp", "blend"),
)
WINDOW, WINDOWS = 512, 60
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
"""Number types that a cut model can be read in; it is cut in float32 in either case."""
MEASURED = Path(__file__).parent / "measured" / "prune_table"
"""Where cells are kept."""
KEEP_SCATTERS = 20_000
"""Tokens of calibration text from which its Gram matrices are kept on disk until all cells are measured."""


@dataclass(frozen=True)
class Cell:
    """One measurement: which model was cut how, on which calibration text, and what was read."""

    study: str
    """See `study_of`."""
    model: str
    size: str
    draw: int
    ratio: float
    method: str
    compensation: str

    @property
    def path(self) -> Path:
        """Where it is kept."""
        name = f"{self.method}-{self.compensation}-{round(100 * self.ratio)}.json"
        return MEASURED / self.study / self.model / f"{self.size}-{self.draw}" / name

    @property
    def dtype(self) -> torch.dtype:
        """The number type that the model is read in."""
        return DTYPES[self.study.rpartition("-")[2]]

    def read(self) -> dict[str, Any] | None:
        """What was measured, if it was, by the methods as they are now."""
        if not self.path.exists():
            return None
        found = json.loads(self.path.read_text("utf-8"))
        return found if found["versions"] == versions() else None

    def write(self, found: dict[str, Any]) -> None:
        """Keep it, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(found | {"versions": versions()}), "utf-8")
        temporary.replace(self.path)


def study_of(text: str, dtype: str = "bfloat16") -> str:
    """What tells apart cells that cannot be compared: the digest of the text that is read, and the number type."""
    return f"{hashlib.sha256(text.encode()).hexdigest()[:12]}-{dtype}"


def versions() -> list[int]:
    """What a cell's number rests on beside its inputs."""
    return [masking.COMPENSATION_VERSION, least_squares.VERSION, blending.VERSION, scores.METHOD_VERSION]


def cells(study: str, names: Sequence[str], sizes: Sequence[str], draws: int, ratios: Sequence[float]) -> list[Cell]:
    """All cells, the most telling first; of draws after the first the contenders alone."""
    rest = [pair for pair in product(SELECTIONS, STAND_INS) if pair not in CONTENDERS]
    return [
        Cell(study, model, size, draw, ratio, *pair)
        for draw in range(draws)
        for size in sizes
        for model in names
        for ratio in ratios
        for pair in (*CONTENDERS, *(rest if draw == 0 else ()))
    ]


def calibration_passages(loaded: LoadedModel, text: str, size: str, draw: int) -> tuple[Passage, ...]:
    """The passages of one draw, of at least so many tokens; no two draws of a size have one in common.

    Large text is of the last three quarters, of which nothing is measured on.
    """
    if size == "small":
        passages = texts.for_networks()
        pieces = [[passages[i]] for i in np.random.default_rng(0).permutation(len(passages))]
    else:
        unread = articles(text[len(text) // 4 :])
        pieces = [list(texts.from_text(article, f"article {i}")) for i, article in enumerate(reversed(unread))]
    stream = iter(pieces)
    for _ in range(draw + 1):
        chosen: list[Passage] = []
        tokens = 0
        while tokens < TOKENS[size]:
            piece = next(stream, None)
            if piece is None:
                raise SystemExit(f"There is no text for draw {draw} of {TOKENS[size]:,} tokens.")
            chosen += piece
            tokens += sum(int(tokenize(loaded, passage).text_T.sum()) for passage in piece)
    return tuple(chosen)


def articles(text: str) -> list[str]:
    """WikiText's articles, each from its line " = Title = " on."""
    lines = text.splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if line.startswith(" = ") and not line.startswith(" = = ")]
    return ["".join(lines[a:b]) for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]


class Calibrated:
    """A model with all that one calibration text says of it, worked out where it is asked for."""

    def __init__(self, loaded: LoadedModel, passages: tuple[Passage, ...], seed: int, folder: Path) -> None:
        self.loaded, self.sizes, self.folder = loaded, anatomy(loaded), folder
        self.request = ScoreRequest(passages, seed=seed).fitted(loaded)
        self.tokens = sum(int(tokenize(loaded, p).text_T.sum()) for p in self.request.passages)
        self.weights = [weight_of(mlp.down).double() for mlp in mlp_projections(loaded.model)]
        self._costs = folder / "costs.json"

    def costs(self) -> dict[str, float]:
        """Processor seconds of what was worked out so far."""
        return json.loads(self._costs.read_text("utf-8")) if self._costs.exists() else {}

    def spent(self, name: str, began: float) -> None:
        """Note what something took."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._costs.write_text(json.dumps(self.costs() | {name: process_time() - began}), "utf-8")

    @cached_property
    def factors(self) -> LayerFactors:
        """Each layer's factor model; its means are those of the text."""
        self.scores("networks")
        return find_factors(self.loaded, self.request.passages, self.request.components, self.request.seed)

    @cached_property
    def scatters(self) -> dict[int, BlockScatter]:
        """How the inputs of every layer that can be cut vary together."""
        first, last = PlanRequest(ratio=0.0).protected
        layers = range(first, len(self.sizes.widths_L) - last)
        path = self.folder / "scatters.safetensors"
        if path.exists():
            return _read(path, layers)
        began = process_time()
        parts = fitted_and_held(self.request.passages)
        found = {s.block: s for s in read_scatters(self.loaded, parts, layers, heads=False)}
        self.spent("gram", began)
        if self.tokens > KEEP_SCATTERS:
            _write(path, found)
        return found

    def scores(self, method: str) -> Scores:
        """From the store, or computed; the surgeon's from the matrices of least squares, for layers that can be cut."""
        found = known_scores(self.loaded, method, self.request)
        if found is None and method == "obs":
            found = self._surgery()
        if found is None:
            began = process_time()
            found = find_scores(self.loaded, [method], self.request)[method]
            self.spent(method, began)
        return found

    def _surgery(self) -> Scores:
        kept = self.folder / "obs.safetensors"
        if kept.exists():
            return Scores.load(kept)
        scatters, means = self.scatters, self.scores("wanda-sp")
        began = process_time()
        errors = [np.zeros(width) for width in self.sizes.widths_L]
        for layer, block in scatters.items():
            both = merged(block.parts)
            gram_NN = penalised(both.covariance(), both.mean_N, block.start_SN, DAMPING)
            errors[layer] = input_errors(self.weights[layer], gram_NN).numpy()
        self.spent("obs", began)
        recipe = self.request.recipe(self.loaded, "obs")
        found = replace(means, method="obs", allocation="layer", mlp=tuple(errors), recipe=recipe)
        found.save(kept)
        return found

    def replaced(self, plan: PrunePlan, compensation: str) -> Pruning:
        """The plan with what stands in for what goes."""
        keeps, channels = keep_masks(plan)

        def one(layer: int) -> Replacement:
            keep_N, weight_ON, factors = keeps[layer], self.weights[layer], self.factors.mlp_L[layer]
            if compensation == "bias":
                return mean_replacement(factors.mean_N, keep_N)
            if compensation == "networks":
                return network_replacement(factors, keep_N)
            if compensation == "ridge":
                return ridge_replacement(self.scatters[layer], weight_ON, keep_N)
            return blend_replacement(self.scatters[layer], factors, weight_ON, keep_N)

        stand_ins = tuple(None if keep.all() else one(layer) for layer, keep in enumerate(keeps))
        return Pruning(plan, "none", stand_ins, (None,) * len(channels), {}, 0)


def _write(path: Path, found: dict[int, BlockScatter]) -> None:
    arrays = {}
    for layer, block in found.items():
        arrays[f"{layer}.start"] = block.start_SN
        for part, scatter in enumerate(block.parts):
            arrays[f"{layer}.{part}.mean"] = scatter.mean_N
            arrays[f"{layer}.{part}.products"] = (scatter.products_NN / scatter.tokens).float()
            arrays[f"{layer}.{part}.tokens"] = torch.tensor(scatter.tokens)
    save_file(arrays, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _read(path: Path, layers: Sequence[int]) -> dict[int, BlockScatter]:
    arrays = load_file(path)

    def scatter(layer: int, part: int) -> Scatter:
        mean_N, share_NN, tokens = (arrays.pop(f"{layer}.{part}.{name}") for name in ("mean", "products", "tokens"))
        found = Scatter(len(mean_N))
        found.take(int(tokens), mean_N, share_NN.double() * int(tokens))
        return found

    return {
        layer: BlockScatter(layer, (scatter(layer, 0), scatter(layer, 1)), arrays[f"{layer}.start"]) for layer in layers
    }


@torch.no_grad()
def losses(loaded: LoadedModel, windows: Sequence[Window]) -> list[float]:
    """Summed negative log-likelihood of each window, nats."""
    return [round(float(window_log_likelihoods(loaded, [window])[0].double().sum()), 4) for window in windows]


def measure(text: str, missing: Sequence[Cell]) -> None:
    """Measure cells of one study in their order, those of one model and calibration text together."""
    groups = dict.fromkeys((cell.study, cell.model, cell.size, cell.draw) for cell in missing)
    for study, model, size, draw in groups:
        loaded = models.get_loaded(model, accept_licence=True)
        windows = first_windows(loaded, text)
        untouched = untouched_cell(study, model)
        if untouched.read() is None:
            own = replace(loaded, model=copy.deepcopy(loaded.model).to(untouched.dtype))
            untouched.write({"nll": losses(own, windows), "units": [w.scored for w in windows]})
            del own
        passages = calibration_passages(loaded, text, size, draw)
        folder = home() / "prune-table" / study / model / f"{size}-{draw}"
        calibrated = Calibrated(loaded, passages, draw, folder)
        for cell in missing:
            if (cell.study, cell.model, cell.size, cell.draw) != (study, model, size, draw):
                continue
            asked, found = PlanRequest(cell.method, cell.ratio), calibrated.scores(cell.method)
            try:
                plan = make_plan(calibrated.sizes, found, asked)
            except RequestError as error:
                print(f"{model} {cell.path.parent.name} {cell.path.stem}: {error}", flush=True)
                continue
            if cell.compensation in ("ridge", "blend"):
                _ = calibrated.scatters
            _, began = calibrated.factors, process_time()
            pruning = calibrated.replaced(plan, cell.compensation)
            seconds = process_time() - began
            smaller = copy.deepcopy(loaded.model)
            cut(smaller, pruning)
            smaller.to(cell.dtype)
            nll, units = losses(replace(loaded, model=smaller), windows), [w.scored for w in windows]
            del smaller
            cell.write(
                {
                    "nll": nll,
                    "units": units,
                    "calibration_tokens": calibrated.tokens,
                    "seconds": calibrated.costs() | {"compensation": seconds},
                }
            )
            print(f"{model} {cell.path.parent.name} {cell.path.stem}: {np.exp(sum(nll) / sum(units)):.2f}", flush=True)
        (folder / "scatters.safetensors").unlink(missing_ok=True)


def first_windows(loaded: LoadedModel, text: str) -> list[Window]:
    """The text's first windows."""
    windows, *_ = text_windows(loaded, (Passage("text", text, "file"),), "token", WINDOW, WINDOW)
    return windows[:WINDOWS]


def untouched_cell(study: str, model: str) -> Cell:
    """Where the perplexity of the model as it is stands."""
    return Cell(study, model, "untouched", 0, 0.0, "none", "none")


def result(*draws: Cell) -> PerplexityResult | None:
    """The perplexity of the cells' draws, averaged window by window; None where one is missing."""
    found = [each for cell in draws if (each := cell.read())]
    if not found or len(found) < len(draws):
        return None
    nll_W, units_W = np.mean([each["nll"] for each in found], axis=0), np.array(found[0]["units"], dtype=float)
    return PerplexityResult(
        definition="token",
        window=WINDOW,
        stride=WINDOW,
        start="",
        texts=("text",),
        document_W=np.zeros(len(nll_W), dtype=int),
        nll_W=nll_W,
        units_W=units_W,
        tokens=int(units_W.sum()),
        total_windows=len(nll_W),
        token_nll=(),
        token_offsets=(),
        dtype=str(draws[0].dtype).removeprefix("torch."),
    )
