"""Perplexity of a model with fewer neurons and of one with fewer layers, at the same share of its parameters removed.

    python -m benchmarks.depth_width [MODEL] [--ratios 0.1 0.2 0.3] [--passages 8] [--width networks wanda-sp]
        [--depth block-influence layer-networks layer-random]

A line for every point: the method, the share of neurons or layers that was asked for, the share of all parameters that
went, perplexity with its 95 % interval and the layers that are gone. At the end from where on layers cost less.
"""

import argparse

from fnet_core import texts
from fnet_core.choices import LAYER_METHODS
from fnet_core.evaluation.perplexity import spoken
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.models.loading import get_loaded
from fnet_core.pruning.curves import curves, width_stops
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--passages", type=int, default=8)
    parser.add_argument("--width", nargs="+", default=["networks", "wanda-sp"])
    parser.add_argument("--depth", nargs="+", default=list(LAYER_METHODS))
    options = parser.parse_args()
    loaded = get_loaded(options.model)
    yardstick = Yardstick(texts.bundled("score")[: options.passages])
    untouched = baseline_perplexity(loaded, yardstick)
    print(f"untouched {untouched.value:.2f}{spoken(untouched.interval, '.2f')}")
    request = ScoreRequest(texts.bundled("find"))
    template = PlanRequest(ratio=0.0)
    points = ()
    for methods in (options.width, options.depth):
        points += curves(loaded, methods, options.ratios, template, request, yardstick)
    for point in points:
        if point.perplexity is None or point.plan is None:
            print(f"| {point.method} | {point.ratio:.0%} | {point.problem} |")
            continue
        removed = 1 - point.plan.parameters / point.plan.anatomy.parameters
        low, high = point.perplexity.interval or (float("nan"),) * 2
        print(
            f"| {point.method} | {point.ratio:.0%} | {removed:.1%} | {point.perplexity.value:.1f} | "
            f"{low:.1f} to {high:.1f} | {' '.join(map(str, point.plan.dropped))} |"
        )
    for width in options.width:
        for depth in options.depth:
            share = width_stops(points, untouched.value, width, depth)
            print(f"{depth} costs less than {width}: " + ("nowhere" if share is None else f"from {share:.1%} on"))


if __name__ == "__main__":
    main()
