"""What single layers' outputs lose by selection and compensation, on calibration passages that were held out.

    python -m benchmarks.prune_layers [MODEL] [--layers 5 14 23] [--ratios 0.2 0.5]

In percent of the variance of each layer's MLP output, start tokens counted as much as text, as where the strength is
chosen. All is fitted to three of four passages of the first small draw of `benchmarks.prune_table`, and judged on the
others. No pruned model is run, so it says which selections are worth a perplexity and no more.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.prune_cells import calibration_passages
from fnet_core.models import loading as models
from fnet_core.models.modules import mlp_projections, weight_of
from fnet_core.pruning import criteria
from fnet_core.pruning.blending import best_share, blended, refitted
from fnet_core.pruning.calibration import Moments
from fnet_core.pruning.compensation import Factors
from fnet_core.pruning.factors import find_factors
from fnet_core.pruning.gram import BlockScatter, read_scatters
from fnet_core.pruning.least_squares import best_strength, fitted_and_held, held_out_loss, penalised
from fnet_core.pruning.surgeon import input_errors, network_errors

DAMPINGS = (0.1, 1.0, 10.0)
SHARES = (0.25, 0.5)
NO_PENALTY = 1e-3


def selections(found: BlockScatter, factors: Factors, weight_ON: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Scores of the layer's neurons from the fitted part alone, worked out when called."""
    fitted, _ = found.parts
    covariance_NN, start_SN = fitted.covariance(), found.start_SN
    moments = Moments(fitted.mean_N, covariance_NN.diagonal().clone(), start_SN)
    nothing_kept = torch.zeros(len(fitted.mean_N), dtype=torch.bool)

    def surgeon(damping: float) -> Tensor:
        return input_errors(weight_ON, penalised(covariance_NN, fitted.mean_N, start_SN, damping))

    def between(share: float) -> Tensor:
        return input_errors(weight_ON, blended(fitted, factors, nothing_kept, share, NO_PENALTY))

    return {
        "wanda-sp": lambda: criteria.wanda_sp(weight_ON, moments),
        "flap, even": lambda: criteria.flap(weight_ON, moments),
        "networks": lambda: criteria.beyond_networks(weight_ON, factors),
        **{f"obs, damping {damping:g}": lambda damping=damping: surgeon(damping) for damping in DAMPINGS},
        **{f"obs, {share:g} measured, rest networks": lambda share=share: between(share) for share in SHARES},
        "obs-networks": lambda: network_errors(weight_ON, factors),
    }


def lost(found: BlockScatter, whole: Factors, fitted: Factors, weight_ON: Tensor, keep_N: Tensor) -> list[float]:
    """Percent of the output that is lost with a bias, networks, least squares and both, held out."""
    loss = held_out_loss(found, weight_ON, keep_N)
    unseen_NN = found.parts[1].covariance(about_N=found.parts[0].mean_N)
    brought = power(weight_ON[:, ~keep_N], unseen_NN[~keep_N][:, ~keep_N]) / power(weight_ON, unseen_NN)
    share, penalty = best_share(found, whole, weight_ON, keep_N)
    _, least = best_strength(found, weight_ON, keep_N)
    networks, both = (loss(blended(found.parts[0], fitted, keep_N, s, p)) for s, p in ((0.0, 1.0), (share, penalty)))
    starts = len(found.start_SN)
    return [100 * brought * each for each in (1 + starts, networks, least, both)]


def power(weight_ON: Tensor, covariance_NN: Tensor) -> float:
    """Variance of the output."""
    return float(((weight_ON @ covariance_NN) * weight_ON).sum())


def main() -> None:
    """Print one table per ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--layers", type=int, nargs="+", default=[5, 14, 23])
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.2, 0.5])
    options = parser.parse_args()
    loaded = models.get_loaded(options.model, accept_licence=True)
    passages = calibration_passages(loaded, "", "small", 0)
    factors = find_factors(loaded, passages, 32).mlp_L
    rows: dict[tuple[float, str], list[list[float]]] = {}
    for found in read_scatters(loaded, fitted_and_held(passages), options.layers, heads=False):
        weight_ON = weight_of(mlp_projections(loaded.model)[found.block].down).double().cpu()
        whole, own = factors[found.block], refitted(factors[found.block], found.parts[0])
        for name, scores in selections(found, own, weight_ON).items():
            order = np.argsort(scores().numpy(), kind="stable")
            for ratio in options.ratios:
                keep = np.ones(len(order), dtype=bool)
                keep[order[: int(ratio * len(order))]] = False
                each = lost(found, whole, own, weight_ON, torch.from_numpy(keep))
                rows.setdefault((ratio, name), []).append(each)
                print(f"layer {found.block}, {ratio:.0%}, {name}: {each}", flush=True)
    for ratio in options.ratios:
        print(f"\n{loaded.name}, {ratio:.0%}, mean of layers {options.layers}\n")
        print("| selection | bias | networks | ridge | blend |\n|---|---|---|---|---|")
        for (r, name), found_L in rows.items():
            if r == ratio:
                print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(found_L, axis=0)) + " |")


if __name__ == "__main__":
    main()
