"""What scoring the battery costs beside a bare forward pass; its log-likelihoods beside lm-evaluation-harness's own.

    python -m benchmarks.capabilities [MODEL] [--items 20] [--rounds 3] [--harness]

The bare pass runs each text of each item, prefix with continuation, in the same batches of one length without anything
read off. With --harness (pip install lm-eval) the same items go through `HFLM.loglikelihood`, on the same model object.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from benchmarks.timing import timed
from fnet_core.capability.battery import make_battery
from fnet_core.capability.scoring import Choice, choices, log_likelihoods, texts_of
from fnet_core.models import loading as models
from fnet_core.models.running import main_device

_TOKENS = 1024


def _batches(found: Sequence[Choice]) -> Iterator[list[tuple[int, ...]]]:
    texts = sorted((ids for choice in found for ids in (choice.right, choice.wrong)), key=len)
    batch: list[tuple[int, ...]] = []
    for ids in texts:
        if batch and (len(ids) != len(batch[0]) or (len(batch) + 1) * len(ids) > _TOKENS):
            yield batch
            batch = []
        batch.append(ids)
    yield batch


@torch.no_grad()
def bare(loaded: models.LoadedModel, found: Sequence[Choice]) -> None:
    """Run every text once."""
    for batch in _batches(found):
        loaded.model(input_ids=torch.tensor(batch, device=main_device(loaded.model)), use_cache=False)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--harness", action="store_true")
    options = parser.parse_args()
    loaded, battery = models.get_loaded(options.model), make_battery(options.items)
    found = choices(loaded, battery.items)
    told = [choice for choice in found if choice is not None]
    ours, theirs = [], []
    for round_number in range(options.rounds + 1):
        _, _, bare_seconds = timed(lambda: bare(loaded, told))
        (right_I, wrong_I), _, seconds = timed(lambda: log_likelihoods(loaded, found))
        if round_number:
            ours.append(seconds)
            theirs.append(bare_seconds)
    result = {
        "model": options.model,
        "items": len(found),
        "left_out": len(found) - len(told),
        "tokens_of_all_texts": sum(len(ids) for choice in told for ids in (choice.right, choice.wrong)),
        "tokens_run": sum(len(text.ids) for text in texts_of(found)),
        "processor_seconds": round(statistics.median(ours), 2),
        "bare_processor_seconds": round(statistics.median(theirs), 2),
        "scoring_over_bare": round(statistics.median(ours) / statistics.median(theirs), 3),
    }
    if options.harness:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        start = bool(loaded.tokenizer("a")["input_ids"][0] == loaded.tokenizer.bos_token_id)
        harness = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=16, add_bos_token=start)
        asked = [(i.prefix, continuation) for i in battery.items for continuation in (i.right, i.wrong)]
        instances = [
            Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=number)
            for number, pair in enumerate(asked)
        ]
        answers = [answer for answer, _ in harness.loglikelihood(instances, disable_tqdm=True)]
        own = np.stack([right_I, wrong_I], axis=1).ravel()
        apart = np.abs(own - np.array(answers))
        result["harness_largest_difference_nats"] = float(np.nanmax(apart))
        result["harness_same_answers"] = int(
            (np.sign(own[0::2] - own[1::2]) == np.sign(np.array(answers[0::2]) - np.array(answers[1::2]))).sum()
        )
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
