"""What an atlas costs: seconds against a bare forward pass, agreement of two seeds, peak memory.

    python -m benchmarks.cost [MODEL] [--components 32] [--site mlp] [--rounds 5] [--peaks 24 384]

The bare pass is `model(ids)` over the same tokens, passage by passage, logits included, cache off. Bare pass and
atlas alternate in one process, after one warm-up of each; the overhead is that of each round with the bare pass
beside it, the median over the rounds and the lowest and highest. The same is said in seconds of the processors, which
other processes on the machine disturb less. Peak memory is that of fresh processes with so many passages (the bundled
ones, repeated), and left out with `--peaks` alone.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import replace

import torch

from benchmarks.timing import spread, timed
from fnet_core import texts
from fnet_core.activations.reading import tokenize
from fnet_core.models import loading as models
from fnet_core.models.running import main_device
from fnet_core.networks.finding import AtlasRequest, compute_atlas
from fnet_core.networks.matching import matched_correlation


def bare_pass(loaded: models.LoadedModel, ids: list[torch.Tensor]) -> None:
    """A plain forward pass over all passages."""
    with torch.no_grad():
        for passage in ids:
            loaded.model(input_ids=passage, use_cache=False)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory(arguments: list[str], passages: int) -> int:
    """Peak bytes of a fresh process that computes one atlas of so many passages."""
    program = (
        "import sys; from fnet_core.models import loading as models; from fnet_core import texts;"
        "from fnet_core.networks.finding import *;"
        "model, site, k, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]);"
        "pool = texts.bundled('find') + texts.bundled('score');"
        "request = AtlasRequest(model, (pool * 9)[:n], site=site, components=k);"
        "loaded, recipe = models.get_loaded(model), {'site': site, 'scope': 'model'};"
        "print(compute_atlas(loaded, request, recipe, halves=False).peak_memory_bytes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, str(passages)], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1])


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--site", default="mlp")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--halves", action="store_true", help="with the recurrence in two halves, as `fnet atlas` does")
    parser.add_argument(
        "--peaks", type=int, nargs="*", default=[24, 384], help="passages whose peak memory is compared"
    )
    options = parser.parse_args()

    loaded = models.get_loaded(options.model)
    request = AtlasRequest(options.model, texts.bundled("find"), site=options.site, components=options.components)
    device = main_device(loaded.model)
    ids = [tokenize(loaded, passage).ids_T[None].to(device) for passage in request.passages]
    recipe = {"model": options.model, "model_digest": loaded.digest, "site": options.site, "scope": "model", "seed": 0}

    bare_pass(loaded, ids)
    compute_atlas(loaded, request, recipe, halves=options.halves)
    rounds, stages = [], []
    for _ in range(options.rounds):
        _, bare, bare_cpu = timed(lambda: bare_pass(loaded, ids))
        atlas, whole, whole_cpu = timed(lambda: compute_atlas(loaded, request, recipe, halves=options.halves))
        rounds.append((bare, whole, whole / bare - 1, whole_cpu / bare_cpu - 1))
        stages.append({stage: seconds / bare for stage, seconds in atlas.seconds.items()})
    bare_s, whole_s, overhead, overhead_cpu = (spread(values) for values in zip(*rounds, strict=True))
    other = compute_atlas(loaded, replace(request, seed=1), recipe, halves=False)
    agreement = matched_correlation(atlas.maps[0], other.maps[0])

    arguments = [options.model, options.site, str(options.components)]
    peaks = {n: peak_memory(arguments, n) for n in options.peaks}
    found = {
        "model": options.model,
        "site": options.site,
        "components": options.components,
        "tokens": atlas.tokens,
        "threads": torch.get_num_threads(),
        "bare_seconds": bare_s,
        "atlas_seconds": whole_s,
        "overhead": overhead,
        "overhead_in_processor_seconds": overhead_cpu,
        "stages_over_bare": {stage: spread([each[stage] for each in stages]) for stage in stages[0]},
        "two_seeds_mean_matched_abs_r": round(float(agreement.mean()), 4),
        "two_seeds_min_matched_abs_r": round(float(agreement.min()), 4),
        "peak_bytes": peaks,
    }
    if len(peaks) > 1:
        found["peak_ratio_last_to_first"] = round(peaks[options.peaks[-1]] / peaks[options.peaks[0]], 3)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
