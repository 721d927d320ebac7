"""What an atlas costs: seconds against a bare forward pass, agreement of two seeds, peak memory.

    python -m benchmarks.cost [MODEL] [--components 32] [--site mlp] [--rounds 3]

The bare pass is `model(ids)` over the same tokens, passage by passage, logits included, cache off. Bare pass and
atlas alternate in one process, after one warm-up of each; the median of the rounds is reported. Peak memory
is that of fresh processes with 24 and with 96 passages (the bundled ones, repeated).
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import replace
from time import perf_counter

import torch

from fnet_core import texts
from fnet_core.activations.reading import tokenize
from fnet_core.models import loading as models
from fnet_core.models.running import main_device
from fnet_core.networks.finding import AtlasRequest, compute_atlas
from fnet_core.networks.matching import matched_correlation


def bare_pass(loaded: models.LoadedModel, ids: list[torch.Tensor]) -> float:
    """Seconds of a plain forward pass over all passages."""
    start = perf_counter()
    with torch.no_grad():
        for passage in ids:
            loaded.model(input_ids=passage, use_cache=False)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - start


def peak_memory(arguments: list[str], passages: int) -> int:
    """Peak bytes of a fresh process that computes one atlas of so many passages."""
    program = (
        "import sys; from fnet_core.models import loading as models; from fnet_core import texts;"
        "from fnet_core.networks.finding import *;"
        "model, site, k, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]);"
        "pool = texts.bundled('find') + texts.bundled('score');"
        "request = AtlasRequest(model, (pool * 9)[:n], site=site, components=k);"
        "print(compute_atlas(models.get_loaded(model), request, {'site': site, 'scope': 'model'}).peak_memory_bytes)"
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
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    loaded = models.get_loaded(options.model)
    request = AtlasRequest(options.model, texts.bundled("find"), site=options.site, components=options.components)
    device = main_device(loaded.model)
    ids = [tokenize(loaded, passage).ids_T[None].to(device) for passage in request.passages]
    recipe = {"site": options.site, "scope": "model"}

    bare, whole, stages = [], [], []
    for round_number in range(options.rounds + 1):
        seconds = bare_pass(loaded, ids)
        start = perf_counter()
        atlas = compute_atlas(loaded, request, recipe)
        if round_number:
            bare.append(seconds)
            whole.append(perf_counter() - start)
            stages.append(atlas.seconds)
    bare_s, whole_s = statistics.median(bare), statistics.median(whole)
    other = compute_atlas(loaded, replace(request, seed=1), recipe)
    agreement = matched_correlation(atlas.maps[0], other.maps[0])

    arguments = [options.model, options.site, str(options.components)]
    peaks = {n: peak_memory(arguments, n) for n in (24, 96)}
    print(
        json.dumps(
            {
                "model": options.model,
                "site": options.site,
                "components": options.components,
                "tokens": atlas.tokens,
                "bare_seconds": [round(s, 2) for s in bare],
                "atlas_seconds": [round(s, 2) for s in whole],
                "overhead": round((whole_s - bare_s) / bare_s, 3),
                "stages": stages[-1],
                "two_seeds_mean_matched_abs_r": round(float(agreement.mean()), 4),
                "two_seeds_min_matched_abs_r": round(float(agreement.min()), 4),
                "peak_bytes": peaks,
                "peak_ratio_96_to_24": round(peaks[96] / peaks[24], 3),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
