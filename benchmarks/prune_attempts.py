"""What was tried to find a criterion built on networks: calibrated on half of the `find` passages, seen on the other.

    python -m benchmarks.prune_attempts [MODEL] [--ratio 0.2] [--passages 8] [--only NAME ...] [--sensitivity]

Selections, ways to spread the ratio over layers, and what stands in for removed neurons, one factor at a time. The
first three and last two layers stay whole. Nothing here is measured on the text that results are reported on.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fnet_core import texts
from fnet_core.activations.reading import tokenize
from fnet_core.evaluation.perplexity import measure
from fnet_core.models import loading as models
from fnet_core.models.modules import mlp_projections, weight_of
from fnet_core.pruning import criteria
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.calibration import Calibrator, Moments
from fnet_core.pruning.compensation import Factors, Replacement, mean_replacement, network_replacement, zero_replacement
from fnet_core.pruning.factors import find_factors
from fnet_core.pruning.gram import merged, read_scatters
from fnet_core.pruning.least_squares import fitted_and_held, penalised, ridge_replacement
from fnet_core.pruning.masking import Pruning, keep_masks, masking
from fnet_core.pruning.plan import PrunePlan, make_plan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import Scores
from fnet_core.pruning.surgeon import DAMPING, input_errors


class Bench:
    """One model with its calibration statistics and the passages to look at."""

    def __init__(self, name: str, passages: int) -> None:
        self.loaded = models.get_loaded(name, accept_licence=True)
        every = texts.bundled("find")
        self.seen, self.unseen = every[0::2], every[1::2][:passages]
        self.sizes = anatomy(self.loaded)
        reader = Calibrator(self.loaded)
        for _ in reader.subjects(self.seen):
            pass
        self.moments = reader.result().mlp_L
        self.factors = find_factors(self.loaded, self.seen, 32).mlp_L
        parts = fitted_and_held(self.seen)
        self.scatters = list(read_scatters(self.loaded, parts, range(len(self.sizes.widths_L)), heads=False))
        self.weights = [weight_of(mlp.down) for mlp in mlp_projections(self.loaded.model)]

    def scores(self, score: Callable[[Tensor, Moments, Factors], Tensor], spread: str = "layer") -> Scores:
        """Scores of a formula of (output weights, moments, factors)."""
        layers = zip(self.weights, self.moments, self.factors, strict=True)
        found = [score(*each) for each in layers]
        if spread == "model":
            found = [criteria.standardized(each) for each in found]
        return self.as_scores(found, spread)

    def as_scores(self, layers: Sequence[Tensor], spread: str = "layer") -> Scores:
        """Any numbers per neuron as scores."""
        recipe = {"model": self.loaded.name, "model_digest": self.loaded.digest}
        return Scores("networks", spread, tuple(s.double().numpy() for s in layers), (), (), (), recipe)

    def perplexity(self, plan: PrunePlan, replacements: Sequence[Replacement]) -> float:
        """On the unseen passages."""
        keeps, channels = keep_masks(plan)
        used = tuple(None if keep.all() else r for r, keep in zip(replacements, keeps, strict=True))
        pruning = Pruning(plan, "none", used, (None,) * len(channels), {}, 0)
        *_, found = measure(self.loaded, self.unseen, around=partial(masking, self.loaded, pruning))
        return found.value

    def stand_ins(self, plan: PrunePlan) -> dict[str, list[Replacement]]:
        """Every kind of replacement of a plan; that of the networks with start tokens forgotten and minded."""
        keeps, _ = keep_masks(plan)
        return {
            "none": [zero_replacement(len(keep)) for keep in keeps],
            "bias": [mean_replacement(m.mean_N, keep) for m, keep in zip(self.moments, keeps, strict=True)],
            "networks, no start": [
                network_replacement(replace(f, start_SN=f.start_SN[:0]), keep)
                for f, keep in zip(self.factors, keeps, strict=True)
            ],
            "networks": [network_replacement(f, keep) for f, keep in zip(self.factors, keeps, strict=True)],
            "ridge": [
                zero_replacement(len(keep)) if keep.all() else ridge_replacement(found, w.double(), keep)
                for found, w, keep in zip(self.scatters, self.weights, keeps, strict=True)
            ],
        }


def selections(bench: Bench) -> dict[str, Callable[[], Scores]]:
    """One formula each, worked out when called; all but FLAP take the same share from every layer."""

    def carried(weight: float, start: bool, w: Tensor, m: Moments, f: Factors) -> Tensor:
        square = f.own_N + weight * f.carried_N + m.mean_N.square()
        if start:
            square = square + m.start_SN.square().sum(dim=0)
        return w.double().abs().sum(dim=0) * square.sqrt()

    generator = torch.Generator().manual_seed(0)
    return {
        "random": lambda: bench.as_scores([torch.rand(len(m.mean_N), generator=generator) for m in bench.moments]),
        "Wanda-sp": lambda: bench.scores(lambda w, m, f: criteria.wanda_sp(w, m)),
        "FLAP": lambda: bench.scores(lambda w, m, f: criteria.flap(w, m), "model"),
        "FLAP, even": lambda: bench.scores(lambda w, m, f: criteria.flap(w, m)),
        "what networks leave": lambda: bench.scores(partial(carried, 0.0, False)),
        "networks counted half": lambda: bench.scores(partial(carried, 0.5, False)),
        "Wanda-sp, start token": lambda: bench.scores(partial(carried, 1.0, True)),
        "networks counted half, start token": lambda: bench.scores(lambda w, m, f: criteria.beyond_networks(w, f)),
        "what networks carry": lambda: bench.scores(lambda w, m, f: f.carried_N * w.double().square().sum(dim=0)),
        "Fisher": lambda: bench.as_scores(fisher(bench)),
        "OBS": lambda: bench.as_scores(surgery(bench)),
    }


def surgery(bench: Bench) -> list[Tensor]:
    """The errors by which an optimal brain surgeon orders neurons, (N,) per layer, as `--method obs` has them."""
    found = []
    for block, weight_ON in zip(bench.scatters, bench.weights, strict=True):
        whole = merged(block.parts)
        gram_NN = penalised(whole.covariance(), whole.mean_N, block.start_SN, DAMPING)
        found.append(input_errors(weight_ON, gram_NN))
    return found


def fisher(bench: Bench) -> list[Tensor]:
    """Summed squares of activation times gradient, (N,) per layer: a backward pass, which no other method needs."""
    model, kept = bench.loaded.model, {}

    def keep(layer: int, module: torch.nn.Module, inputs: tuple) -> tuple:
        x = inputs[0] if inputs[0].requires_grad else inputs[0].detach().requires_grad_(True)
        x.retain_grad()
        kept[layer] = x
        return (x, *inputs[1:])

    mlps = mlp_projections(model)
    handles = [mlp.down.register_forward_pre_hook(partial(keep, layer)) for layer, mlp in enumerate(mlps)]
    found = [torch.zeros(len(m.mean_N), dtype=torch.float64) for m in bench.moments]
    try:
        for passage in bench.seen:
            ids = tokenize(bench.loaded, passage).ids_T[None]
            with torch.enable_grad():
                logits = model(input_ids=ids, use_cache=False).logits
                F.cross_entropy(logits[0, :-1].float(), ids[0, 1:], reduction="sum").backward()
            for layer, x in kept.items():
                found[layer] += (x.grad[0] * x.detach()[0]).double().square().sum(dim=0)
    finally:
        for handle in handles:
            handle.remove()
    return found


def spread_by(plan: PrunePlan, scores: Scores, weight_L: np.ndarray) -> PrunePlan:
    """The plan with its neurons taken from the free layers in proportion to the weights."""
    first, last = plan.request.protected
    layers = range(first, len(plan.keep_mlp) - last)
    counts = weight_L[layers.start : layers.stop] / weight_L[layers.start : layers.stop].sum() * plan.removed_neurons
    keeps = [keep.copy() for keep in plan.keep_mlp]
    for layer, count in zip(layers, counts, strict=True):
        keeps[layer][:] = True
        lowest = np.argsort(scores.mlp[layer], kind="stable")
        keeps[layer][lowest[: min(round(count), len(lowest) - 16)]] = False
    return replace(plan, keep_mlp=tuple(keeps))


def sensitivity(bench: Bench, scores: Scores, cut: float = 0.4, passages: int = 4) -> np.ndarray:
    """Loss in nats that cutting each layer alone costs on calibration passages, (L,)."""
    whole = make_plan(bench.sizes, scores, PlanRequest(ratio=0.0, protected=(0, 0)))
    looked_at, bench.unseen = bench.unseen, bench.seen[:passages]
    losses = []
    try:
        untouched = bench.perplexity(whole, bench.stand_ins(whole)["none"])
        for layer, values in enumerate(scores.mlp):
            keeps = [keep.copy() for keep in whole.keep_mlp]
            keeps[layer][np.argsort(values)[: int(cut * len(values))]] = False
            plan = replace(whole, keep_mlp=tuple(keeps))
            losses.append(np.log(bench.perplexity(plan, bench.stand_ins(plan)["networks"]) / untouched))
    finally:
        bench.unseen = looked_at
    return np.array(losses)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--ratio", type=float, default=0.2)
    parser.add_argument("--passages", type=int, default=8, help="passages to look at")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these selections, and no other spread over layers")
    parser.add_argument("--sensitivity", action="store_true", help="also spread the ratio by measured sensitivity")
    options = parser.parse_args()
    bench = Bench(options.model, options.passages)
    print(f"{bench.loaded.name}, {options.ratio:.0%}, {len(bench.unseen)} passages looked at", flush=True)
    chosen, asked = selections(bench), PlanRequest(ratio=options.ratio)
    for name in options.only or chosen:
        plan = make_plan(bench.sizes, chosen[name](), asked)
        cells = [f"{kind} {bench.perplexity(plan, r):.2f}" for kind, r in bench.stand_ins(plan).items()]
        print(f"{name}: {', '.join(cells)}", flush=True)
    if options.only:
        return
    scores = chosen["networks counted half, start token"]()
    plan = make_plan(bench.sizes, scores, asked)
    layers = len(bench.sizes.widths_L)
    weights = {"more from early layers": np.linspace(1.3, 0.7, layers), "by what networks carry": np.array(
        [float(f.carried_N.sum() / m.variance_N.sum()) for f, m in zip(bench.factors, bench.moments, strict=True)]
    )}  # fmt: skip
    if options.sensitivity:
        found = sensitivity(bench, scores)
        weights["by measured sensitivity"] = np.maximum(found, 0.15 * np.median(found)) ** -0.5
    for name, weight_L in weights.items():
        spread = spread_by(plan, scores, weight_L)
        print(f"{name}: networks {bench.perplexity(spread, bench.stand_ins(spread)['networks']):.2f}", flush=True)


if __name__ == "__main__":
    main()
