"""What scoring costs beside a bare forward pass, how soon the slider has an answer, and how fast the smaller model is.

    python -m benchmarks.prune_cost [MODEL] [--rounds 5] [--ratio 0.3] [--passages 8] [--scoring] [--published]

Every round measures a bare forward pass over the calibration text, then each kind of scoring on an empty store, then
the slider on the first score passages: seconds to the first estimate, to the last, and for the same ratio again. At the
end the medians with the lowest and highest. `--published`: scoring by `fn` as its paper ran it too, on all bundled
passages and beside a bare pass over these.
"""

import argparse
import os
import tempfile
from time import perf_counter

import torch

from benchmarks.timing import timed, told
from fnet_core import texts
from fnet_core.activations.reading import tokenize
from fnet_core.choices import PUBLISHED_COMPONENTS
from fnet_core.evaluation.speed import compare_speed
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models import loading as models
from fnet_core.models.running import main_device
from fnet_core.pruning.export import pruned_copy
from fnet_core.pruning.masking import known_pruned_perplexity, prepare
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.published import published_groups
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, find_scores

SCORINGS = (("wanda-sp", "flap"), ("networks",), ("fn",))


@torch.no_grad()
def bare_forward(loaded: models.LoadedModel, passages: tuple[texts.Passage, ...], *, head: bool = True) -> float:
    """Seconds to run the passages through the model, or through its body alone, and nothing else."""
    device = main_device(loaded.model)
    ids = [tokenize(loaded, passage).ids_T[None].to(device) for passage in passages]
    model = loaded.model if head else loaded.model.base_model
    began = perf_counter()
    for each in ids:
        model(input_ids=each, use_cache=False)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - began


def slider(loaded: models.LoadedModel, ratio: float, passages: int) -> tuple[float, float, float]:
    """Seconds from a moved slider to the first estimate, to the last, and to a known answer.

    The untouched model is measured too where that was not done yet: when the slider is set for the first time.
    """
    request = ScoreRequest(texts.bundled("find"))
    yardstick = Yardstick(texts.bundled("score")[:passages])
    stamps = []
    began = perf_counter()
    plan = plan_for(loaded, PlanRequest("networks", ratio), request)
    measure_pruning(
        loaded, prepare(loaded, plan, "networks", request), yardstick, publish=lambda _: stamps.append(perf_counter())
    )
    first, last = stamps[0] - began, perf_counter() - began
    began = perf_counter()
    plan = plan_for(loaded, PlanRequest("networks", ratio), request)
    assert known_pruned_perplexity(loaded, yardstick, plan, "networks", request) is not None
    return first, last, perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scoring", action="store_true", help="leave the slider and the smaller model out")
    parser.add_argument("--published", action="store_true", help="also score by fn as its paper ran it")
    parser.add_argument("--ratio", type=float, default=0.3)
    parser.add_argument("--passages", type=int, default=8, help="score passages for the slider")
    options = parser.parse_args()
    loaded = models.get_loaded(options.model, accept_licence=True)
    request = ScoreRequest(texts.bundled("find"))
    bare_forward(loaded, request.passages)
    times: dict[str, list[tuple[float, float]]] = {}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as home:
            os.environ["FNET_HOME"] = home
            bare, _, bare_cpu = timed(lambda: bare_forward(loaded, request.passages))
            _, _, body_cpu = timed(lambda: bare_forward(loaded, request.passages, head=False))
            print(f"round {number + 1}: bare forward pass over the calibration text {bare:.2f} s")
            times.setdefault("body", []).append((body_cpu / bare_cpu, body_cpu / bare_cpu))
            for methods in SCORINGS:
                _, seconds, cpu = timed(lambda methods=methods: find_scores(loaded, methods, request))
                name = " and ".join(methods)
                times.setdefault(name, []).append((seconds / bare, cpu / bare_cpu))
                print(f"  scoring by {name}: {seconds:.2f} s, {seconds / bare:.2f} times as long", flush=True)
            if options.published:
                passages = texts.for_networks()
                own = ScoreRequest(passages, components=PUBLISHED_COMPONENTS, groups=published_groups(len(passages)))
                whole, _, whole_cpu = timed(lambda own=own: bare_forward(loaded, own.passages))
                _, seconds, cpu = timed(lambda own=own: find_scores(loaded, ["fn"], own))
                times.setdefault("fn as published", []).append((seconds / whole, cpu / whole_cpu))
                print(f"  scoring by fn as published: {seconds:.2f} s, {cpu:.2f} of its processors", flush=True)
            for where, ratio in (
                () if options.scoring else (("set for the first time", options.ratio), ("moved", options.ratio / 2))
            ):
                first, last, known = slider(loaded, ratio, options.passages)
                print(
                    f"  slider {where}: first estimate {first:.2f} s, last {last:.2f} s, the same ratio again "
                    f"{known:.3f} s"
                )
            if number == options.rounds - 1 and not options.scoring:
                _print_speed(loaded, options.ratio, request)
    body, _ = zip(*times.pop("body"), strict=True)
    print(f"without its head a bare pass takes {told(body)} of its processor seconds")
    for name, found in times.items():
        wall, processors = map(told, zip(*found, strict=True))
        print(f"scoring by {name}: {wall} times a bare pass, {processors} times its processor seconds")


def _print_speed(loaded: models.LoadedModel, ratio: float, request: ScoreRequest) -> None:
    plan = plan_for(loaded, PlanRequest("networks", ratio), request)
    pruning = prepare(loaded, plan, "networks", request)
    smaller = pruned_copy(loaded, pruning, dtype=loaded.model.dtype).to(main_device(loaded.model))
    speed = compare_speed(loaded.model, smaller)
    size = plan.anatomy.stored.bytes, plan.stored_bytes(plan.parameters)
    reading = speed.reading_after / speed.reading_before
    print(
        f"{ratio:.0%} of the neurons removed: {size[0] / 1e6:.0f} MB to {size[1] / 1e6:.0f} MB "
        f"({1 - size[1] / size[0]:.1%} less); reading {speed.reading_before:.0f} to {speed.reading_after:.0f} tokens/s "
        f"({reading:.2f} times), writing {speed.writing_before:.1f} to {speed.writing_after:.1f} tokens/s "
        f"({speed.writing_after / speed.writing_before:.2f} times); estimated {plan.estimated_speed:.2f} times"
    )


if __name__ == "__main__":
    main()
