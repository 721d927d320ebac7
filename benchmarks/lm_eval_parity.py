"""Word and byte perplexity beside lm-evaluation-harness's own code, on the same model object and documents.

    pip install lm-eval && python -m benchmarks.lm_eval_parity [MODEL] [--window 512] [--texts FILE] [--passages N]

With --own-loading the harness opens the model's folder by itself, as `lm_eval --model hf --model_args
pretrained=FOLDER` does, instead of getting the model object.

The harness runs its rolling log-likelihood over each passage; words and bytes are counted as its wikitext task
does. A tokenizer that adds a start token by itself is told not to, since the harness puts its prefix token first.
"""

import argparse
import json
import math
import re

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from fnet_core import texts
from fnet_core.evaluation.perplexity import measure
from fnet_core.models import loading as models
from fnet_core.models.saving import CODE


def main() -> None:
    """Measure both and print one JSON object with the relative differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--texts")
    parser.add_argument("--passages", type=int, default=24)
    parser.add_argument("--own-loading", action="store_true", help="let the harness open the folder")
    options = parser.parse_args()
    loaded = models.get_loaded(options.model)
    passages = (texts.from_file(options.texts) if options.texts else texts.bundled("score"))[: options.passages]
    taken = {"pretrained": loaded.model, "tokenizer": loaded.tokenizer}
    if options.own_loading:
        code = (loaded.path / CODE).exists()
        taken = {"pretrained": str(loaded.path), "dtype": loaded.dtype, "device": "cpu", "trust_remote_code": code}
    harness = HFLM(**taken, max_length=options.window, batch_size=4, add_bos_token=False)
    requests = [
        Instance(request_type="loglikelihood_rolling", doc={}, arguments=(p.text,), idx=i)
        for i, p in enumerate(passages)
    ]
    log_likelihood = sum(harness.loglikelihood_rolling(requests, disable_tqdm=True))
    units = {
        "word": sum(len(re.split(r"\s+", p.text)) for p in passages),
        "byte": sum(len(p.text.encode("utf-8")) for p in passages),
    }
    rows = {}
    for definition, count in units.items():
        *_, ours = measure(loaded, passages, definition=definition, window=options.window)
        theirs = math.exp(-log_likelihood / count)
        rows[definition] = {"ours": ours.value, "harness": theirs, "relative_difference": ours.value / theirs - 1}
    print(json.dumps({"model": options.model, "window": options.window, "passages": len(passages)} | rows, indent=2))


if __name__ == "__main__":
    main()
