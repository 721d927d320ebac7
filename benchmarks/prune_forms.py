"""What a pruned model costs in each form in which it can leave: as asked, even with biases, and plain; and its speed.

    python -m benchmarks.prune_forms [MODEL] [--ratios 0.1 0.2 0.3] [--passages 8] [--compensations networks none]
        [--speed 0.3] [--rounds 5]

A line for every form: perplexity, its paired ratio to the form asked for with the 95 % interval, and the parameters
that went. "even" has as many neurons gone from every layer and keeps the bias, so that between it and "plain" lies what
folding costs. At the ratio of --speed the tokens per second of the form asked for and of the plain one, beside the
original's in turns.
"""

import argparse
from dataclasses import replace

from fnet_core import texts
from fnet_core.evaluation.perplexity import ratio, spoken
from fnet_core.evaluation.speed import compare_speed
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models.loading import get_loaded
from fnet_core.pruning.export import pruned_copy
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plain import plain_request
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--passages", type=int, default=8)
    parser.add_argument("--compensations", nargs="+", default=["networks", "none"])
    parser.add_argument("--speed", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    loaded, request = get_loaded(options.model), ScoreRequest(texts.bundled("find"))
    yardstick = Yardstick(texts.bundled("score")[: options.passages])

    def pruned(asked: PlanRequest):
        return prepare(loaded, plan_for(loaded, asked, request), asked.compensation, request)

    for share in options.ratios:
        for compensation in options.compensations:
            asked = PlanRequest(ratio=share, compensation=compensation)
            plain = plain_request(asked)
            first = None
            for name, form in (("asked", asked), ("even", replace(plain, folded=False)), ("plain", plain)):
                if name == "even" and compensation == "none":
                    continue
                pruning = pruned(form)
                found = measure_pruning(loaded, pruning, yardstick).pruned
                first = first or found
                times = ratio(found, first)
                removed = 1 - pruning.parameters / pruning.plan.anatomy.parameters
                print(
                    f"| {share:.0%} | {compensation} | {name} | {found.value:.2f} | "
                    f"{times.value:.3f}{spoken(times.interval, '.3f')} | {removed:.1%} |",
                    flush=True,
                )
    if not options.speed:
        return
    asked = PlanRequest(ratio=options.speed)
    for name, form in (("asked", asked), ("plain", plain_request(asked))):
        found = compare_speed(
            loaded.model, pruned_copy(loaded, pruned(form), dtype=loaded.model.dtype), rounds=options.rounds
        )
        print(
            f"{options.speed:.0%} {name}: reading {found.reading_before:.0f} to {found.reading_after:.0f} tokens/s "
            f"({found.reading_after / found.reading_before:.2f} times), writing {found.writing_before:.1f} to "
            f"{found.writing_after:.1f} ({found.writing_after / found.writing_before:.2f} times)",
            flush=True,
        )


if __name__ == "__main__":
    main()
