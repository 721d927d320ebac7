"""Perplexity by pruning method, ratio and compensation on a text that nothing was chosen on.

    python -m benchmarks.prune_table MODEL --text wiki.test.raw [--characters 20000] [--seeds 3]

A seed draws two thirds of the bundled `find` passages as calibration text, and the random method's neurons; means and
spreads are over seeds. At ratios above 30 %, and for compensated controls, one seed is measured. What was measured
before comes from the store.
"""

import argparse
import statistics
from collections import defaultdict
from dataclasses import replace

import numpy as np

from fnet_core import texts
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.models import loading as models
from fnet_core.pruning.curves import curves
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest

RATIOS = (0.1, 0.2, 0.3, 0.5)
ALL_COMPENSATIONS = ("none", "bias", "networks", "ridge")


def calibration_of(seed: int) -> tuple[texts.Passage, ...]:
    """Two thirds of the bundled passages to find on, drawn by the seed."""
    passages = texts.bundled("find")
    chosen = np.random.default_rng(seed).permutation(len(passages))[: 2 * len(passages) // 3]
    return tuple(passages[i] for i in sorted(chosen))


def main() -> None:
    """Measure and print one row per method and compensation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--text", required=True, help="text file to measure on")
    parser.add_argument("--characters", type=int, default=20_000, help="use the first so many")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--compensations", nargs="+", choices=ALL_COMPENSATIONS, default=ALL_COMPENSATIONS)
    options = parser.parse_args()
    loaded = models.get_loaded(options.model, accept_licence=True)
    whole = texts.whole_file(options.text)[0]
    yardstick = Yardstick((replace(whole, text=whole.text[: options.characters]),))
    baseline = baseline_perplexity(loaded, yardstick)
    print(
        f"{loaded.name}: untouched {baseline.value:.2f} per token, {baseline.tokens:,} tokens, windows of "
        f"{baseline.window}, {loaded.dtype}",
        flush=True,
    )
    found: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    for seed in range(options.seeds):
        request = ScoreRequest(calibration_of(seed), seed=seed)
        ratios = tuple(r for r in options.ratios if r <= 0.3 or seed == 0)
        for compensation in options.compensations:
            chosen = [m for m in options.methods if _worth_measuring(m, compensation, seed)]
            template = PlanRequest(ratio=0.0, compensation=compensation)
            for point in curves(loaded, chosen, ratios, template, request, yardstick):
                if point.perplexity is not None:
                    found[point.method, compensation, point.ratio].append(point.perplexity.value)
                else:
                    print(f"seed {seed}: {point.method} at {point.ratio:g}: {point.problem}", flush=True)
            print(f"seed {seed}, {compensation}: done", flush=True)
    print("| method | compensation | " + " | ".join(f"{ratio:.0%}" for ratio in options.ratios) + " |")
    print("|---|---|" + "---|" * len(options.ratios))
    for method in options.methods:
        for compensation in options.compensations:
            cells = [_cell(found[method, compensation, ratio]) for ratio in options.ratios]
            if any(cells):
                print(f"| {method} | {compensation} | " + " | ".join(cells) + " |")


def _worth_measuring(method: str, compensation: str, seed: int) -> bool:
    """Controls are compensated on the first seed alone, and magnitude, which no seed changes, is measured once."""
    if method in ("random", "magnitude"):
        return (seed == 0 and compensation not in ("networks", "ridge")) or (
            method == "random" and compensation == "none"
        )
    return seed == 0 or compensation == "none" or method != "fn"


def _cell(values: list[float]) -> str:
    """Mean and standard deviation over seeds; one value alone; nothing."""
    if len(values) < 2:
        return "".join(f"{value:.4g}" for value in values)
    return f"{statistics.mean(values):.4g} ± {statistics.stdev(values):.2g}"


if __name__ == "__main__":
    main()
