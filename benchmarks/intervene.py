"""What an intervention costs: seconds to the first pair, and perplexity against a bare forward pass with loss.

    python -m benchmarks.intervene [MODEL] [--atlas F] [--rounds 3] [--passages 24]

The first pair: from the call of `intervene` for one inhibited network, model loaded and nothing in the store, to the
first published estimate of untouched and edited perplexity on the bundled passages to score on. Perplexity: seconds per
1,000 tokens of `perplexity.measure` over the same windows as a bare `model(input_ids=, labels=)`, one window at a time,
alternating after a warm-up; the median of the rounds is reported.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import torch

from fnet_core import texts
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.errors import Cancelled
from fnet_core.evaluation.perplexity import measure
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.editing import check_atlas
from fnet_core.interventions.edits import edit_networks
from fnet_core.interventions.measuring import intervene
from fnet_core.models import loading as models
from fnet_core.models.running import main_device
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import AtlasRequest, find_atlas


def seconds_to_first_pair(
    loaded: models.LoadedModel, atlas: Atlas, network: int, passages: Sequence[texts.Passage]
) -> float:
    """Seconds until both estimates are there, with an empty store."""
    edit = edit_networks(atlas, [network], DEFAULT_THRESHOLD, gain=0.0)
    start = perf_counter()
    taken = []

    def first(_) -> None:
        taken.append(perf_counter() - start)
        raise Cancelled

    home = os.environ.get("FNET_HOME")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["FNET_HOME"] = empty
        try:
            intervene(loaded, [edit], Yardstick(tuple(passages)), publish=first)
        except Cancelled:
            pass
        finally:
            os.environ.pop("FNET_HOME")
            if home is not None:
                os.environ["FNET_HOME"] = home
    return taken[0]


@torch.no_grad()
def bare_pass(loaded: models.LoadedModel, ids: list[torch.Tensor]) -> float:
    """Seconds of the model's own loss on every window."""
    start = perf_counter()
    for window in ids:
        loaded.model(input_ids=window, labels=window, use_cache=False).loss.item()
    return perf_counter() - start


def measured_pass(loaded: models.LoadedModel, passages: Sequence[texts.Passage]) -> tuple[float, int]:
    """Seconds of our perplexity on the same windows, and the tokens that it scored."""
    start = perf_counter()
    *_, result = measure(loaded, passages)
    return perf_counter() - start, result.tokens


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--atlas", help="an atlas of the model (default: the one with all settings at their defaults)")
    parser.add_argument("--network", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passages", type=int, default=24)
    options = parser.parse_args()

    loaded = models.get_loaded(options.model)
    if options.atlas:
        atlas = Atlas.load(Path(options.atlas))
        check_atlas(loaded, atlas)
    else:
        atlas = find_atlas(AtlasRequest(options.model, texts.bundled("find"))).answer
    device = main_device(loaded.model)
    passages = texts.bundled("score")[: options.passages]
    windows = [loaded.tokenizer(p.text, return_tensors="pt")["input_ids"].to(device) for p in passages]

    bare, ours, first = [], [], []
    for round_number in range(options.rounds + 1):
        bare_seconds = bare_pass(loaded, windows)
        our_seconds, tokens = measured_pass(loaded, passages)
        first_seconds = seconds_to_first_pair(loaded, atlas, options.network, passages)
        if round_number:
            bare.append(bare_seconds)
            ours.append(our_seconds)
            first.append(first_seconds)
    print(
        json.dumps(
            {
                "model": options.model,
                "network": options.network,
                "device": loaded.device,
                "threads": torch.get_num_threads(),
                "tokens": tokens,
                "seconds_to_first_pair": [round(s, 2) for s in first],
                "bare_seconds_per_1000_tokens": round(1000 * statistics.median(bare) / tokens, 3),
                "measure_seconds_per_1000_tokens": round(1000 * statistics.median(ours) / tokens, 3),
                "measure_over_bare": round(statistics.median(ours) / statistics.median(bare), 3),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
